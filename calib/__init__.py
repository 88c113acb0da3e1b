"""The science of calibrated routing confidence. Pure: arrays in, arrays out; no Prefect, no Parquet, no API."""
