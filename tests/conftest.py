"""What all tests need."""

import res2net_mm  # noqa: F401  (mmcv has ops from here on, where it has none of its own)
