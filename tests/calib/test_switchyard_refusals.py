"""What cannot be written for Switchyard, and what its loader refuses, each in a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from routecal.calib import switchyard
from routecal.calib.checkpoint_errors import NotExportable
from routecal.calib.router.frozen_router import FrozenRouter
from tests.calib.switchyard_loader import SwitchyardRouter
from tests.calib.switchyard_made import checkpoint, headed, loaded, opened
from tests.calib.tiny_families import save_wide


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> FrozenRouter:
    return opened(checkpoint("gemma3", tmp_path_factory.mktemp("gemma")))


SPOILED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "version": (lambda c: c.update(format_version=2), "unsupported checkpoint format_version"),
    "view": (lambda c: c["encoder"].update(view="whole_chat"), "encoder view must be task_prompt_only"),
    "pooling": (lambda c: c["feature_pipeline"].update(pooling="mean"), "unsupported checkpoint feature pooling"),
    "activation": (lambda c: c["architecture"].update(activation="GELU"), "activation must be ReLU"),
    "reduction": (lambda c: c["architecture"].update(ensemble_reduction="mean"), "unsupported checkpoint ensemble red"),
    "no layer": (lambda c: c["feature_pipeline"].update(selected_layers=[]), "layers must be non-empty and unique"),
    "a layer twice": (lambda c: c["feature_pipeline"].update(selected_layers=[2, 2]), "must be non-empty and unique"),
    "no model": (lambda c: c.update(models=[]), "must contain models and ensemble members"),
    "no member": (lambda c: c.update(model_state_dicts=[]), "must contain models and ensemble members"),
    "width": (lambda c: c["encoder"].update(hidden_dim=17), "layer normalization shape is inconsistent"),
    "std": (lambda c: c["feature_pipeline"]["layer_std"]["2"].zero_(), "normalization scales must be positive"),
    "scale": (lambda c: c["feature_pipeline"]["scaler_scale"].neg_(), "normalization scales must be positive"),
    "layers": (lambda c: c["encoder"].update(n_layers=3), "encoder dimensions do not match checkpoint metadata"),
    "a model more": (lambda c: c["models"].append("third"), "received 2 targets for 3 checkpoint heads"),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_what_the_loader_refuses_is_refused_here(gemma: FrozenRouter, spoiled: str, tmp_path: Path) -> None:
    change, refusal = SPOILED[spoiled]
    made = switchyard.checkpoint_of(headed(gemma), encoder=str(gemma.path), path="here")
    change(made)
    (tmp_path / "router.pt").write_bytes(switchyard.as_bytes(made))
    with pytest.raises(ValueError, match=refusal):
        SwitchyardRouter(tmp_path / "router.pt", ["large", "medium"])


def test_what_the_loader_refuses_of_requests(gemma: FrozenRouter, tmp_path: Path) -> None:
    there = loaded(headed(gemma), tmp_path)
    with pytest.raises(ValueError, match="prompts must be non-empty"):
        there.scores(["a", ""])
    with pytest.raises(ValueError, match="batch_size and max_length must be positive"):
        there.scores(["a"], batch_size=0)
    with pytest.raises(ValueError, match="targets must be unique"):
        SwitchyardRouter(tmp_path / "router.pt", ["one", "one"])
    there.members[0]["heads.1.bias"].fill_(float("nan"))
    with pytest.raises(ValueError, match="forward returned an invalid probability"):
        there.scores(["a"])


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"residual": True}, r"reads the router's outputs, .* \(--no-residual\)"),
        ({"router_outputs": True}, r"reads the router's outputs, .* \(--no-residual\)"),
        ({"activation": "gelu"}, "its hidden layer is gelu, Switchyard's ReLU: train one with --activation relu"),
        ({"pca": 4}, "components are clipped a second time, .* without --pca"),
    ],
    ids=["residual", "outputs", "gelu", "pca"],
)
def test_a_head_of_another_form_is_refused(
    gemma: FrozenRouter, shape: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(NotExportable, match=f"^here cannot be written for Switchyard: [^;]*{reason}$"):
        loaded(headed(gemma, shape=shape), tmp_path)


def test_another_rule_or_reading_is_refused_with_what_to_do(gemma: FrozenRouter, tmp_path: Path) -> None:
    routed = headed(gemma)
    for changed, reason in (
        ({"decides_by": "gain"}, r"decides by the gain of the large model, .* \(--decides-by confidence\)"),
        ({"blocks": ("hidden", "hidden_L1_mean")}, "its head reads hidden and hidden_L1_mean, .* --block last"),
    ):
        routed.serving = headed(gemma).serving.model_copy(update=changed)
        with pytest.raises(NotExportable, match=reason):
            loaded(routed, tmp_path)


def test_a_default_head_is_refused_with_all_that_is_in_the_way(gemma: FrozenRouter, tmp_path: Path) -> None:
    plain = FrozenRouter(gemma.path)
    with pytest.raises(NotExportable) as refused:
        loaded(headed(plain, shape={"residual": True, "activation": "gelu"}), tmp_path)
    assert str(refused.value).count("; ") == 2
    # a special token twice, as Switchyard reads it, and a line of TOML
    template = r'template = "<bos><bos><turn>user: {query}\n<turn>model:"'
    assert f"its prompt is not Switchyard's: train with {template} in the file of --config" in str(refused.value)


def test_routers_without_a_chat_or_with_a_policy_that_is_said_are_refused(tmp_path: Path) -> None:
    mute = FrozenRouter(save_wide("llama", tmp_path / "mute", causal=True))
    with pytest.raises(NotExportable) as refused:
        loaded(headed(mute), tmp_path)
    assert "its router's logits are not linear in the last token's state" in str(refused.value)
    assert "no chat template that holds a query as it is" in str(refused.value)
