"""The model card: what the head is for, what it is not for, and where it comes from."""

import json
from typing import Any

TAGS = ["routecal", "llm-routing", "confidence-estimation", "calibration", "uncertainty"]


def model_card(config: dict[str, Any]) -> str:
    """README.md of a head folder: YAML front matter as the Hugging Face Hub reads it, then Markdown for people.

    Args:
        config: all of config.json.

    >>> shape = {"width": 6, "hidden_units": 8, "residual": True}
    >>> model_card({"head": shape, "recalibrator": {"name": "identity"}}).splitlines()[:3]
    ['---', 'library_name: routecal', 'tags:']
    """
    head, metrics = config["head"], config.get("metrics") or {}
    kind = "on top of the calibrated router logit" if head["residual"] else "plain"
    members = config.get("members", 1)
    cls = "ConfidenceHead" if members == 1 else "Ensemble"
    reads = f"{head['pca']} whitened principal components" if head.get("pca") else "all of it, standardised"
    extra = ", and the router's sorted log probabilities" if head.get("router_outputs") else ""
    return f"""{_front_matter(metrics)}
# Confidence head

Estimates P(the router's policy is right | query) from a frozen router's last hidden state ({head["width"]} wide) and
its logits. Works only with features of the router it was trained on.

```python
from routecal import {cls}

head = {cls}.from_pretrained("<this folder or repository>")
p = head.confidence(hidden, logits)  # (n, {head["width"]}) and (n, 3) arrays -> (n,) calibrated confidences
```

| | |
|---|---|
| architecture | 2-layer MLP, {head["hidden_units"]} units, {head.get("activation", "gelu")}, {kind} |
| reads | {reads}{extra} |
| members | {members} |
| recalibrator | `{json.dumps(config["recalibrator"])}` |
{_metric_rows(metrics)}
Not for: queries unlike those it was trained on, or a router, prompt template or pooling other than its own.

## Lineage

```json
{json.dumps(config.get("lineage", {}), indent=2, sort_keys=True)}
```
"""


def _metric_rows(metrics: dict[str, float]) -> str:
    if not metrics:
        return ""
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in sorted(metrics.items()))
    return f"\n| on held-out queries | |\n|---|---|\n{rows}\n"


def _front_matter(metrics: dict[str, float]) -> str:
    lines = ["library_name: routecal", "tags:", *(f"- {tag}" for tag in TAGS)]
    if metrics:
        lines += ["metrics:", *(f"- {_quoted(name)}" for name in sorted(metrics))]
        lines += ["model-index:", "- name: confidence head", "  results:"]
        lines += ["  - task:", "      type: tabular-classification", "      name: correctness of routing decisions"]
        lines += ["    dataset:", "      type: held-out-queries", "      name: held-out queries", "    metrics:"]
        for name, value in sorted(metrics.items()):
            lines += [f"    - type: {_quoted(name)}", f"      value: {float(value)!r}"]
    return "\n".join(["---", *lines, "---"])


def _quoted(text: str) -> str:
    return json.dumps(text)  # a JSON string is a YAML string
