# The measured rows as the Markdown table that README.md quotes.

report <- function(results) {
  cases <- intersect(names(bench_cases()), results$case)
  machines <- unique(results[c("machine", "r", "blas", "versions", "date")])
  c(
    paste(
      "| model | rows | partialpool | lme4 | ratio | glmmTMB | ratio",
      "| evaluations | criterion | memory |"
    ),
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    vapply(cases, function(case) report_row(case, results[results$case == case, ]), ""),
    "",
    paste(
      "Wall time from formula and data to the fit, best of the runs that the time allows. Ratio:",
      "the other's time divided by ours. Evaluations: of the criterion, ours / lme4's. Criterion:",
      "ours minus lme4's, negative where ours is the better optimum. Memory: peak of the process",
      "from the call on, ours / lme4's in MB."
    ),
    "",
    vapply(split(machines, seq_len(nrow(machines))), machine_lines, "")
  )
}

report_row <- function(case, rows) {
  ours <- rows[rows$engine == "partialpool", ]
  lme4 <- rows[rows$engine == "lme4", ]
  tmb <- rows[rows$engine == "glmmTMB", ]
  cells <- c(
    bench_cases()[[case]]$title, format_count(c(ours$rows, lme4$rows, tmb$rows)),
    format_time(ours), format_time(lme4), format_ratio(ours, lme4),
    format_time(tmb), format_ratio(ours, tmb),
    format_pair(ours$evaluations, lme4$evaluations),
    format_difference(ours$criterion, lme4$criterion),
    format_pair(ours$peak_mb, lme4$peak_mb)
  )
  paste0("| ", paste(cells, collapse = " | "), " |")
}

format_count <- function(n) format(stats::na.omit(n)[1], big.mark = ",", scientific = FALSE)

format_time <- function(row) {
  if (nrow(row) == 0) return("")
  if (row$status != "ok") return(row$status)
  s <- row$seconds
  unit <- if (s >= 1) "s" else if (s >= 1e-4) "ms" else "\u00b5s"
  sprintf("%.3g %s", s * c(s = 1, ms = 1e3, "\u00b5s" = 1e6)[[unit]], unit)
}

format_ratio <- function(ours, other) {
  if (nrow(ours) == 0 || nrow(other) == 0 || is.na(ours$seconds)) return("")
  if (!is.na(other$seconds)) return(sprintf("%.0f", other$seconds / ours$seconds))
  at_least <- suppressWarnings(as.numeric(sub("^more than (.*) s$", "\\1", other$status)))
  if (is.na(at_least)) "" else sprintf("> %.0f", at_least / ours$seconds)
}

format_pair <- function(ours, other) {
  cell <- function(x) if (length(x) == 0 || is.na(x)) "-" else sprintf("%.0f", x)
  paste(cell(ours), "/", cell(other))
}

format_difference <- function(ours, other) {
  if (length(ours) == 0 || length(other) == 0 || is.na(ours - other)) return("")
  sprintf("%.1e", ours - other)
}
