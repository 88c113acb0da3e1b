"""What the command line offers: every command, where it lives, and the help that lists them."""

from typing import NamedTuple


class Command(NamedTuple):
    """Where a command lives: its flow, the model of its parameters, and what of `print_results` prints its result."""

    module: str
    flow: str
    params: str
    params_in: str = "routecal.flows.params"
    shown_by: str = "made"


COMMANDS = {
    "demo": Command("routecal.flows.demo", "demo", "DemoParams", "routecal.flows.demo_params", "evaluated"),
    "calibrate": Command("routecal.flows.calibrate", "calibrate", "CalibrateParams", shown_by="evaluated"),
    "label": Command("routecal.flows.label", "label", "LabelParams", "routecal.flows.oracle_params", "labelled"),
    "extract": Command("routecal.flows.extract", "extract", "ExtractParams"),
    "train": Command("routecal.flows.train", "train", "TrainParams", shown_by="trained"),
    "evaluate": Command("routecal.flows.evaluate", "evaluate", "EvaluateParams", shown_by="evaluated"),
    "recalibrate": Command(
        "routecal.flows.recalibrate", "recalibrate", "RecalibrateParams", "routecal.flows.night_params", "told"
    ),
    "demo-night": Command(
        "routecal.flows.demo_night", "demo_night", "DemoNightParams", "routecal.flows.demo_params", "told"
    ),
    "heads": Command("routecal.flows.heads", "heads", "HeadsParams", "routecal.flows.night_params", "table"),
    "promote": Command("routecal.flows.heads", "promote", "PromoteParams", "routecal.flows.night_params", "decided"),
    "decline": Command("routecal.flows.heads", "decline", "DeclineParams", "routecal.flows.night_params", "decided"),
    "rollback": Command("routecal.flows.heads", "rollback", "RollbackParams", "routecal.flows.night_params", "decided"),
    "train-router": Command("routecal.flows.train_router", "train_router_flow", "TrainRouterParams"),
    "benchmark": Command(
        "routecal.flows.benchmark", "benchmark", "BenchmarkParams", "routecal.flows.trial_params", "compared"
    ),
    "ablate": Command("routecal.flows.ablate", "ablate", "AblateParams", "routecal.flows.trial_params", "compared"),
    "audit": Command("routecal.flows.audit", "audit", "AuditParams", "routecal.flows.oracle_params", "audited"),
    "rejudge": Command(
        "routecal.flows.rejudge", "rejudge", "RejudgeParams", "routecal.flows.oracle_params", "rejudged"
    ),
    "ledger": Command("routecal.flows.ledger", "ledger", "LedgerParams", "routecal.flows.oracle_params", "table"),
    "stats": Command("routecal.flows.stats", "stats", "StatsParams", shown_by="tables"),
    "export": Command("routecal.flows.export", "export", "ExportParams", shown_by="exported"),
}

# Of the whole program; they stand before the command.
FLAGS = ("--verbose", "--refresh")

# From here these run without Prefect, whose server takes longer to start than they do.
QUICK = {"audit", "ledger", "stats", "export", "heads", "promote", "decline", "rollback"}

HELP = """usage: routecal COMMAND [options]        routecal COMMAND --help        routecal --version

Calibrated confidence for a frozen LLM router.

the whole way
  demo           everything, on world-facts questions and a real Gemma-3-270M; needs nothing
  calibrate      label, extract, train, evaluate: from your queries to a calibrated head and its report

each step alone
  label          find the true policy of every query (oracle: replay, local, gemini, openai);
                 --dry-run says what that takes, --audit N draws a sample for people to grade
  extract        read policy, logits and hidden state of every query off the frozen router
  train          train the confidence head (SFT, RL, recalibration) on labels and features
  evaluate       measure a head on the test split, against baselines
  train-router   make a router, for people who have none

proof
  benchmark      every method on recorded outcomes: a table with intervals, noise floors and ranks, with two routers
  ablate         the default head with one choice changed at a time: a forest plot, Markdown and LaTeX tables

every night
  recalibrate    gather new queries, check the serving head, label, train, and promote a head that does better
  demo-night     one such night on the demo's queries, router and oracle, to see what a night does
  heads          which head serves, and every decision that led there
  promote        promote the candidate that waits; with --entry N --force, one that was refused
  decline        refuse the candidate that waits; the head that serves serves on
  rollback       put the head back that served before

labels from an API
  audit          how good the judge is, by the sample that people have graded
  rejudge        grade the stored answers again with other judges; asks for no answer
  ledger         what was paid, by day, model and stage

afterwards
  stats          dataset balance and reliability of one run, the newest or --run
  export         one run's examples as JSONL, without the held-out ones

Artifacts go to $ROUTECAL_HOME (default ./artifacts). What is finished is never done twice: repeat the same command
after an interruption and it goes on where it stopped. --refresh before COMMAND recomputes everything,
--verbose shows Prefect's log.
"""
