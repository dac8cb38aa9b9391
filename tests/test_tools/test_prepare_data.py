import zipfile


def test_prepare_data(run, tmp_path):
    result = run('prepare_data.py', 'coco')
    assert result.returncode == 1 and not (tmp_path / 'data').exists()
    assert '0  annotations/instances_train2017.json' in result.stdout
    assert result.stderr.startswith('prepare_data.py: error: data/coco is not ready:\n')
    assert 'train2017/*.jpg: 0 there, 118,287 published [train2017.zip]' in result.stderr
    assert 'train2017.zip, from the COCO web site, https://cocodataset.org/#download' in result.stderr

    with zipfile.ZipFile(tmp_path / 'annotations_trainval2017.zip', 'w') as archive:
        archive.writestr('annotations/instances_val2017.json', '{"images": [], "annotations"')
    result = run('prepare_data.py', 'coco', '--root', 'here', '--archives', '.', '--workers', 2)
    assert result.returncode == 2 and 'annotations/instances_val2017.json: damaged: ' in result.stderr
    assert 'annotations_trainval2017.zip (the one in . lacks it), from' in result.stderr

    (tmp_path / 'annotations_trainval2017.zip').write_bytes(b'PK')
    result = run('prepare_data.py', 'coco', '--archives', '.')
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
    assert 'prepare_data.py: error: annotations_trainval2017.zip is damaged or incomplete' in result.stderr
    assert run('prepare_data.py', 'nothing').returncode == 2
    result = run('prepare_data.py', 'coco', '--root', 'annotations_trainval2017.zip')
    assert result.returncode == 2 and result.stderr == (
        'prepare_data.py: error: --root annotations_trainval2017.zip: that is a file, not a folder\n'
    )


def test_a_dead_link_is_listed_as_damaged(run, tmp_path):
    folder = tmp_path / 'data/ECSSD/images'
    folder.mkdir(parents=True)
    (folder / 'a.jpg').symlink_to(tmp_path / 'nowhere')
    result = run('prepare_data.py', 'saliency', '--root', 'data')
    assert result.returncode == 2 and 'Traceback' not in result.stderr
    assert 'ECSSD/images/*.jpg: 1 damaged: a' in result.stderr


def test_prepare_data_of_classifiers(run, tmp_path):
    (tmp_path / 'data/imagenet/val/n01440764').mkdir(parents=True)
    result = run('prepare_data.py', 'imagenet')
    assert result.returncode == 1 and '          0  train/*/*.JPEG' in result.stdout
    assert 'ILSVRC2012_img_train.tar, from the ImageNet web site' in result.stderr
    result = run('prepare_data.py', 'cifar100', '--root', 'here')
    assert result.returncode == 1 and 'here is not ready:\n  cifar-100-python/train: missing' in result.stderr
    (tmp_path / 'here/cifar-100-python').mkdir(parents=True)
    (tmp_path / 'here/cifar-100-python/meta').write_bytes(b'')
    result = run('prepare_data.py', 'cifar100', '--root', 'here')
    assert (
        result.returncode == 2 and 'meta: damaged: not the published file: its MD5 is d41d8' in result.stderr
    )
