"""Reports for people: one HTML page per report, and the comparison of two.

report_page        renders a report: `sections` prepare the values, `templates/report.html.j2` shows them
comparison         two reports side by side, as text and as a page
plots              SVG curves, PNG grids, and addresses that contain them
original_report    what the original report claims, to show beside
"""
