"""Skip tests on machines without rpm."""

from __future__ import annotations

import shutil

import pytest

needs_rpm = pytest.mark.skipif(not shutil.which("rpmspec"), reason="rpmspec, which reads it, is not here")
