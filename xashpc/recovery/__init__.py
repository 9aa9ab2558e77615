"""Recovery: run an engine under custodian and mend what fails."""
