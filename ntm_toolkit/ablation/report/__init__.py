"""Reports of ablations: what the runs amount to, as tables, Markdown, CSV and one page of HTML with figures."""
