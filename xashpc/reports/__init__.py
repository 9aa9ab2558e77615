"""Reports: plots and the HTML page of a campaign."""
