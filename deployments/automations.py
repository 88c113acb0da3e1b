"""What the server does by itself: end runs that nobody runs any more, and tell people."""

import os
from datetime import timedelta
from typing import cast
from uuid import UUID

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events import EventTrigger
from prefect.events.actions import CallWebhook, ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, Posture
from prefect.settings import get_current_settings
from pydantic import SecretStr

from routecal.deployments.environment import WEBHOOK_URL
from routecal.deployments.events import SERVING_ALARM

# Beats of a run that may be missing before it is taken for dead; it sends one every three minutes.
BEATS = 3
# What is sent to the webhook: of what, whose events, which of them, and as JSON, whatever quotes a message holds.
WEBHOOK_EVENTS = (
    (
        "runs that fail",
        "prefect.flow-run.*",
        ("prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut"),
        '{"text": {{ (flow_run.name ~ ": " ~ flow_run.state.name ~ ". " ~ flow_run.state.message) | tojson }} }',
    ),
    (
        "nights that wait for approval",
        "prefect.flow-run.*",
        ("prefect.flow-run.Paused",),
        '{"text": {{ (flow_run.name ~ ": waits for approval, " ~ (flow_run | ui_url)) | tojson }} }',
    ),
    (
        "nights that promote nothing",
        "routecal.night.*",
        ("routecal.night.refused", "routecal.night.waiting"),
        '{"text": {{ event.payload.headline | tojson }} }',
    ),
    (
        "alarms against the head that serves",
        "routecal.night.*",
        ("routecal.night.alarm",),
        '{"text": {{ event.payload.headline | tojson }} }',
    ),
    (
        "alarms of the service",
        "routecal.head.*",
        (SERVING_ALARM,),
        '{"text": {{ event.payload.headline | tojson }} }',
    ),
)


def automations() -> list[AutomationCore]:
    """Runs whose process died are marked Crashed; with a webhook, people hear of failures and of nights that wait."""
    silent = timedelta(seconds=BEATS * (get_current_settings().flows.heartbeat_frequency or 180))
    found = [
        AutomationCore(
            name="routecal: crash runs without a heartbeat",
            description="A run whose machine or process died would stay Running for ever.",
            trigger=EventTrigger(
                posture=Posture.Proactive,
                match={"prefect.resource.id": "prefect.flow-run.*"},
                after={"prefect.flow-run.heartbeat"},
                expect={"prefect.flow-run.*"},
                for_each={"prefect.resource.id"},
                threshold=1,
                within=silent,
            ),
            actions=[
                ChangeFlowRunState(
                    name=None,
                    state=StateType.CRASHED,
                    message=f"no heartbeat for {silent.total_seconds() / 60:g} minutes",
                    force=False,
                )
            ],
        )
    ]
    if url := os.environ.get(WEBHOOK_URL):
        hook = Webhook(method="POST", url=SecretStr(url), allow_private_urls=True)
        block = cast(UUID, hook.save("routecal-webhook", overwrite=True))  # a coroutine only inside an event loop
        found += [
            AutomationCore(
                name=f"routecal: tell of {what}",
                trigger=EventTrigger(
                    posture=Posture.Reactive, match={"prefect.resource.id": resource}, expect=set(events)
                ),
                actions=[CallWebhook(block_document_id=block, payload=payload)],
            )
            for what, resource, events, payload in WEBHOOK_EVENTS
        ]
    return found


def recalibration_on_alarm(nightly: UUID) -> AutomationCore:
    """An alarm of the service starts a night at once, with the parameters of its deployment.

    Args:
        nightly: id of the deployment recalibrate-nightly.
    """
    return AutomationCore(
        name="routecal: recalibrate on an alarm of the service",
        description="Graded answers, or other queries, speak against the head that serves: it is recalibrated.",
        trigger=EventTrigger(
            posture=Posture.Reactive, match={"prefect.resource.id": "routecal.head.*"}, expect={SERVING_ALARM}
        ),
        actions=[RunDeployment(source="selected", deployment_id=nightly, parameters=None, job_variables=None)],
    )


def renew(client: SyncPrefectClient, automation: AutomationCore) -> None:
    """Make it, or make it anew where it changed: creating is not idempotent, and twins would call twice.

    One that is as it should be stays, and with it what it heard of runs: of those that died with the machine nothing
    more will be heard. One that was switched off in the UI stays off.
    """
    found = client.read_automations_by_name(automation.name)
    wanted = automation.model_copy(update={"enabled": all(old.enabled for old in found)})
    # What each was made of, without what the server gave it.
    made_of = [{name: getattr(old, name) for name in AutomationCore.model_fields} for old in found]
    if [AutomationCore(**fields) for fields in made_of] == [wanted]:
        return
    for old in found:
        client.delete_automation(old.id)
    client.create_automation(wanted)
