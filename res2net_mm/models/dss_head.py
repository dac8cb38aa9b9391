"""The head of DSS, salient object detection by deeply supervised short connections (Sec. 4.9)."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from ..registry import MODELS
from .arguments import checked

KERNEL_SIZES = (3, 5, 5, 5, 7)
# A side's map is made of its own and those of these deeper sides. DSS counts the sides from 2, the finest.
SHORT_CONNECTIONS = {4: (6, 5), 3: (6, 5), 2: (6, 5, 4, 3)}
MAPS = ('side2', 'side3', 'side4', 'side5', 'side6', 'fuse')
TESTED = [MAPS.index(name) for name in ('side3', 'side4', 'side5', 'fuse')]
IGNORED = 255  # what MMSegmentation pads masks with


@MODELS.register_module()
class DSSHead(BaseModule):
    """Head of DSS in its ResNet form (Hou et al., TPAMI 2019), a decode head for mmseg's EncoderDecoder.

    Each of the five side outputs is two convolutions with ReLU and a 1x1 convolution to one channel. The maps
    of sides 4, 3 and 2 are 1x1 convolutions of their own and of deeper sides' maps, upsampled (the short
    connections); the fused map is one of all five at the image's size. All six maps are supervised.

    The new convolutions start from a normal distribution, those that combine maps with the maps' mean.

    Args:
        in_channels (Sequence[int]): Channels of the feature maps, from stride 2 to 32, as
            ``Res2Net(out_stem=True)`` gives them. Default: (64, 256, 512, 1024, 2048).
        channels (Sequence[int]): Channels of each side's convolutions. Default: (128, 256, 256, 512, 512).
        threshold (float): Saliency from which a pixel is of ``pred_sem_seg``'s class 1. Default: 0.5.
        init_cfg (dict | list[dict], optional): Initialization. Default: None, as above.

    Example:
        >>> import torch
        >>> from res2net_mm.models import DSSHead
        >>> head = DSSHead(in_channels=(4, 8, 8, 8, 8), channels=(4, 4, 4, 4, 4)).eval()
        >>> sizes = (4, 32), (8, 16), (8, 8), (8, 4), (8, 2)
        >>> tuple(head([torch.rand(1, c, s, s) for c, s in sizes]).shape)
        (1, 6, 64, 64)
    """

    # What EncoderDecoder asks of a head: one channel, whose sigmoid is compared with the threshold.
    num_classes = 2
    out_channels = 1
    align_corners = False

    @checked()
    def __init__(
        self,
        in_channels: Sequence[int] = (64, 256, 512, 1024, 2048),
        channels: Sequence[int] = (128, 256, 256, 512, 512),
        threshold: float = 0.5,
        init_cfg: dict | list[dict] | None = None,
    ):
        if not len(in_channels) == len(channels) == len(KERNEL_SIZES):
            raise ValueError(f'in_channels={in_channels} and channels={channels} must be five numbers each')
        if not 0 <= threshold <= 1:
            raise ValueError(f'threshold={threshold} must be from 0 to 1')
        means = {f'short{side}_score': 1 / (1 + len(deeper)) for side, deeper in SHORT_CONNECTIONS.items()}
        means['fuse_score'] = 1 / len(in_channels)
        mean_init = [dict(type='Constant', name=name, val=val) for name, val in means.items()]
        super().__init__(init_cfg or dict(type='Normal', layer='Conv2d', std=0.01, override=mean_init))
        self.threshold = threshold
        for side, (c_in, c, k) in enumerate(zip(in_channels, channels, KERNEL_SIZES), 2):
            layers = OrderedDict(
                conv1=nn.Conv2d(c_in, c, k, padding=k // 2),
                relu1=nn.ReLU(),
                conv2=nn.Conv2d(c, c, k, padding=k // 2),
                relu2=nn.ReLU(),
                score=nn.Conv2d(c, 1, 1),
            )
            self.add_module(f'side{side}', nn.Sequential(layers))
            if side in SHORT_CONNECTIONS:
                self.add_module(f'short{side}_score', nn.Conv2d(1 + len(SHORT_CONNECTIONS[side]), 1, 1))
        self.fuse_score = nn.Conv2d(len(in_channels), 1, 1)

    def forward(self, inputs: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        """Compute the six maps.

        Args:
            inputs (Sequence[Tensor]): Five feature maps, (N, C, H, W), the finest first.
            size (Sequence[int], optional): Height and width of the image. Default: None, twice the first
                feature map's.

        Returns:
            Tensor: Logits, (N, 6, height, width): of sides 2 to 6 and the fused map.
        """
        maps = {}
        for side, x in reversed(list(enumerate(inputs, 2))):
            maps[side] = getattr(self, f'side{side}')(x)
            if side in SHORT_CONNECTIONS:
                deeper = [_upsample(maps[i], x.shape[2:]) for i in SHORT_CONNECTIONS[side]]
                maps[side] = getattr(self, f'short{side}_score')(torch.cat([maps[side], *deeper], 1))
        size = size or [2 * length for length in inputs[0].shape[2:]]
        sides = torch.cat([_upsample(maps[side], size) for side in sorted(maps)], 1)
        return torch.cat([sides, self.fuse_score(sides)], 1)

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: list, train_cfg: dict | None = None) -> dict:
        """Compute the sigmoid cross entropy of each map: the sum over an image's pixels, as DSS has it.

        Args:
            inputs (Sequence[Tensor]): See :meth:`forward`.
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg``, (1, H, W): 1 is salient, 0 is not,
                255 doesn't count.
            train_cfg (dict, optional): Not used; mmseg hands it over.

        Returns:
            dict[str, Tensor]: ``loss_side2`` to ``loss_side6`` and ``loss_fuse``, means over the images.
        """
        masks = torch.stack([sample.gt_sem_seg.data for sample in batch_data_samples])
        logits = self(inputs, masks.shape[2:]).float()
        masks = masks.expand_as(logits)
        losses = F.binary_cross_entropy_with_logits(
            logits, masks.float(), (masks != IGNORED).float(), reduction='none'
        )
        losses = losses.sum((0, 2, 3)) / len(masks)
        return {f'loss_{name}': loss for name, loss in zip(MAPS, losses)}

    def predict(self, inputs: Sequence[Tensor], batch_img_metas: list[dict], test_cfg: dict) -> Tensor:
        """Compute the saliency map: the mean of the sigmoids of sides 3, 4, 5 and the fused map.

        It is stretched to 0 ... 1 per image, unless it is of a window (``test_cfg.mode='slide'``). mmseg
        takes the sigmoid of what a head gives: ``seg_logits`` of its results is the saliency map.

        Args:
            inputs (Sequence[Tensor]): See :meth:`forward`.
            batch_img_metas (list[dict]): With ``img_shape`` and, of padded images, ``pad_shape``.
            test_cfg (dict): With ``mode``, 'whole' or 'slide'.

        Returns:
            Tensor: Logits of the saliency, (N, 1, H, W) at the size of the network's input.
        """
        slide = test_cfg.get('mode') == 'slide'  # img_shape is the window's then
        meta = batch_img_metas[0]
        size = meta['img_shape'] if slide else meta.get('pad_shape', meta['img_shape'])
        saliency = self(inputs, size[:2])[:, TESTED].float().sigmoid().mean(1, keepdim=True)
        if not slide:
            low, high = saliency.amin((1, 2, 3), keepdim=True), saliency.amax((1, 2, 3), keepdim=True)
            saliency = torch.where(high > low, (saliency - low) / (high - low), saliency)
        return saliency.logit(eps=1e-6)


def _upsample(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, tuple(size), mode='bilinear', align_corners=False)
