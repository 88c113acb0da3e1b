"""The confidence head: its shape and maths, seed ensembles of it, and how either is stored and shared."""

from calib.head.config import HeadConfig, HeadShape
from calib.head.ensemble import Ensemble
from calib.head.inputs import CLIP_STD, router_features, router_logit
from calib.head.loaded import LoadedHead, load
from calib.head.model import ConfidenceHead

__all__ = [
    "CLIP_STD",
    "ConfidenceHead",
    "Ensemble",
    "HeadConfig",
    "HeadShape",
    "LoadedHead",
    "load",
    "router_features",
    "router_logit",
]
