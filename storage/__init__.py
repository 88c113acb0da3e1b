"""What lasts: Parquet artifacts, heads, SQL. Knows no Prefect and no torch."""
