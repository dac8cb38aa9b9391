"""The zoo in OpenMMLab's format: of every config, and what the configs, the models and paper.yml say."""

import pytest
import yaml
from metafiles import ROOT, WEIGHTS, metafiles

from res2net_mm.checkpoints import RELEASED
from res2net_mm.config import shipped_configs

IMPORTED = yaml.safe_load((ROOT / 'model-index.yml').read_text('utf-8'))['Import']
MODELS = {
    model['Name']: model
    for path in IMPORTED
    for model in yaml.safe_load((ROOT / path).read_text('utf-8'))['Models']
}


def test_they_are_what_is_made_of_the_configs_and_the_published_numbers():
    made = metafiles()
    assert {*made} == {ROOT / 'model-index.yml', *(ROOT / 'configs' / 'metafiles').iterdir()}
    for path, text in made.items():
        assert path.read_text('utf-8') == text, f'{path.name}: python tests/metafiles.py writes it anew'


def test_every_config_is_one_model():
    assert MODELS.keys() == shipped_configs().keys()
    for name, model in MODELS.items():
        assert (ROOT / model['Config']).samefile(shipped_configs()[name])


def test_all_released_weights_are_listed_once():
    assert sorted(WEIGHTS.values()) == sorted(RELEASED)
    assert {name for name, model in MODELS.items() if 'Weights' in model} == {*WEIGHTS}


@pytest.mark.parametrize(
    'name, parameters, results, source',
    [
        ('r2n50_imagenet', 25_699_120,
         [('ImageNet-1k', {'Top 1 Accuracy': 77.99, 'Top 5 Accuracy': 93.85})], 'Gao '),
        ('faster_rcnn_r2n50_voc07', 28_599_258, [('PASCAL VOC 2007', {'box AP50': 74.4})], 'Gao '),
        ('htc_r2n101v1b_coco', 99_927_181,
         [('COCO', {'box AP': 47.5}), ('COCO', {'mask AP': 41.3})], 'the authors'),
        ('rx56_6c24w_cifar100', 13_637_924, [], None),
        ('simplebaseline_r2n50_coco', 34_141_785,
         [('COCO (detected boxes)', {'AP': 71.5}), ('COCO (ground truth boxes)', {'AP': 73.7})],
         'the authors'),
    ],
)  # fmt: skip
def test_some_by_hand(name, parameters, results, source):
    model = MODELS[name]
    assert model['Metadata']['Parameters'] == parameters
    assert [(each['Dataset'], each['Metrics']) for each in model.get('Results', [])] == results
    assert model['Metadata'].get('Results From', '').startswith(source or '')
    assert ('Results From' in model['Metadata']) == bool(results)


def test_openmmlabs_reader_takes_them():
    modelindex = pytest.importorskip('modelindex.load_model_index')
    index = modelindex.load(str(ROOT / 'model-index.yml'))
    assert {model.name for model in index.models} == {*MODELS}
    assert not index.check(silent=True)
