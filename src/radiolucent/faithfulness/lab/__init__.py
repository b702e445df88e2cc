"""The method comparison behind ``radiolucent evaluate``: cases -> records -> table -> report.

``sources`` gives films with truth, ``examine`` turns one film into a record, ``run`` does that for many films in
processes and keeps each record in a file, :mod:`radiolucent.faithfulness.table` joins records to a line a method, and
``report`` writes the line as CSV, JSON, Markdown, plots and one page.
"""
