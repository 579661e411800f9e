"""Reports for people: one HTML page per report, and the comparison of two.

report_page        renders a report: `sections` prepare the values, `templates/report.html.j2` shows them
comparison         two reports side by side, as text and as a page
plots              SVG curves, PNG grids, and addresses that contain them
chance             intervals of shares, and of the difference of two
verdict            a report in one line
original_report    what the original report claims, for the page of the preset that reproduces it
"""
