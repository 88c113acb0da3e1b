"""The confidence head: its shape and maths, seed ensembles of it, and how either is stored and shared."""

from routecal.calib.head.config import HeadConfig, HeadShape
from routecal.calib.head.ensemble import Ensemble, LoadedHead, load
from routecal.calib.head.head_inputs import CLIP_STD, router_features, router_logit
from routecal.calib.head.model import ConfidenceHead

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
