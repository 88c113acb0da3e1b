"""World-facts questions with known answers, for people who have no queries yet."""

from routecal.tasks.worldfacts.questions import Fact, world_facts

__all__ = ["Fact", "world_facts"]
