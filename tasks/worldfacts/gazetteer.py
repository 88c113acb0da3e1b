"""The countries and cities that questions are about, and what a fact sheet says of them.

Both CSV files hold GeoNames data (see NOTICE beside them); `make world-facts` rebuilds them.
"""

import csv
import io
import re
from importlib.resources import files
from typing import Any

CONTINENTS = {
    "AF": ("Africa",),
    "AN": ("Antarctica",),
    "AS": ("Asia",),
    "EU": ("Europe",),
    "NA": ("North America", "America"),
    "OC": ("Oceania", "Australia"),
    "SA": ("South America", "America"),
}

NUMBERS = ("population", "areakm2")


class World:
    """Countries and cities, each the populous first."""

    def __init__(self) -> None:
        self.countries = _read("countries.csv")
        self.by_iso = {c["iso"]: c for c in self.countries}
        self.cities = _read("cities.csv")

    def sheet(self, country: dict[str, Any]) -> str:
        """What an open-book model may read about a country."""
        neighbours = ", ".join(c["name"] for c in self.neighbours(country)) or "none"
        return (
            f"{country['name']}: capital {country['capital']}; continent {CONTINENTS[country['continentcode']][0]}; "
            f"currency {country['currencyname']} ({country['currencycode']}); calling code {calling_code(country)}; "
            f"internet domain {country['tld']}; neighbours: {neighbours}."
        )

    def size_sheet(self, country: dict[str, Any]) -> str:
        """What an open-book model may read about how large a country is."""
        return f"{country['name']}: area {country['areakm2']:,} km2; population {country['population']:,}."

    def city_sheet(self, city: dict[str, Any]) -> str:
        """What an open-book model may read about a city."""
        return f"{city['name']}: city in {self.by_iso[city['countrycode']]['name']}; population {city['population']:,}."

    def neighbours(self, country: dict[str, Any]) -> list[dict[str, Any]]:
        """Countries that share a land border."""
        return [self.by_iso[i] for i in country["neighbours"].split(",") if i in self.by_iso]


def _read(name: str) -> list[dict[str, Any]]:
    text = files("routecal.tasks.worldfacts").joinpath(name).read_text(encoding="utf-8")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [{k: int(v) if k in NUMBERS else v for k, v in row.items()} for row in rows]


def calling_code(country: dict[str, Any]) -> str:
    """The calling code with its plus sign, as +41 or +1-876.

    >>> calling_code({"phone": "41"}), calling_code({"phone": "+1-809 and 1-829"})
    ('+41', '+1-809')
    """
    return f"+{country['phone'].split(' and ')[0].lstrip('+')}"


def name_aliases(country: dict[str, Any]) -> tuple[str, ...]:
    """Other ways to write a country's name.

    >>> name_aliases({"name": "The Netherlands", "iso": "NL", "iso3": "NLD"})
    ('NL', 'NLD', 'Netherlands')
    """
    known = {
        "US": ("USA", "United States of America", "America"),
        "GB": ("UK", "Great Britain", "Britain", "England", "Scotland", "Wales"),
        "CZ": ("Czech Republic",),
        "CD": ("Congo", "DR Congo", "DRC", "Congo-Kinshasa"),
        "CG": ("Congo", "Congo-Brazzaville"),
        "MM": ("Burma",),
        "CI": ("Cote d'Ivoire",),
        "CV": ("Cape Verde",),
        "SZ": ("Swaziland",),
        "MK": ("Macedonia",),
        "TL": ("East Timor",),
        "AE": ("UAE", "Emirates"),
        "VA": ("Vatican City", "Holy See"),
        "TR": ("Türkiye",),
        "PS": ("Palestine",),
    }
    short = re.sub(r"^The ", "", country["name"])
    return (
        country["iso"],
        country["iso3"],
        *known.get(country["iso"], ()),
        *((short,) if short != country["name"] else ()),
    )
