"""The doors through which data come in: StatBank, files from a folder, Jobindsats, deliveries."""
