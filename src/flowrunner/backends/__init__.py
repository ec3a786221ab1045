"""The vendors, one module each. A module here is loaded when its name is first used."""
