# The measured rows as the Markdown tables that README.md quotes: linear models, then generalised.

report <- function(results) {
  linear <- intersect(names(linear_cases()), results$case)
  generalised <- intersect(names(generalised_cases()), results$case)
  machines <- unique(results[c("machine", "r", "blas", "versions", "date")])
  c(
    if (length(linear)) c(linear_table(linear, results), ""),
    if (length(generalised)) c(generalised_table(generalised, results), ""),
    vapply(split(machines, seq_len(nrow(machines))), machine_lines, "")
  )
}

linear_table <- function(cases, results) {
  c(
    paste(
      "| model | rows | partialpool | lme4 | ratio | glmmTMB | ratio",
      "| evaluations | criterion | memory |"
    ),
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    vapply(cases, function(case) linear_row(case, results[results$case == case, ]), ""),
    "",
    paste(
      "Wall time from formula and data to the fit, best of the runs that the time allows. Ratio:",
      "the other's time divided by ours. Evaluations: of the criterion, ours / lme4's. Criterion:",
      "ours minus lme4's, negative where ours is the better optimum. Memory: peak of the process",
      "from the call on, ours / lme4's in MB."
    )
  )
}

linear_row <- function(case, rows) {
  of <- function(engine) rows[rows$engine == engine, ]
  ours <- of("partialpool")
  lme4 <- of("lme4")
  tmb <- of("glmmTMB")
  table_row(
    bench_cases()[[case]]$title, format_count(rows$rows),
    format_time(ours), format_time(lme4), format_ratio(ours, lme4),
    format_time(tmb), format_ratio(ours, tmb),
    format_pair(ours$evaluations, lme4$evaluations),
    format_difference(ours$criterion, lme4$criterion),
    format_pair(ours$peak_mb, lme4$peak_mb)
  )
}

generalised_table <- function(cases, results) {
  c(
    paste(
      "| model | rows | partialpool | lme4 | ratio | lme4, fastest | ratio | glmmTMB | ratio",
      "| evaluations | criterion | memory |"
    ),
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    vapply(cases, function(case) generalised_row(case, results[results$case == case, ]), ""),
    "",
    paste(
      "The columns are those of the first table. Fastest: glmer() without derivatives at the end",
      "(`calc.derivs = FALSE`) and with the optimiser nloptwrap; the negative binomial by",
      "glmer.nb(). Criterion: ours minus lme4's / minus glmmTMB's; a Gamma or negative binomial",
      "model of lme4 is optimised for another criterion, and not compared."
    )
  )
}

generalised_row <- function(case, rows) {
  of <- function(engine) rows[rows$engine == engine, ]
  known <- bench_cases()[[case]]
  ours <- of("partialpool")
  lme4 <- of("lme4")
  fastest <- of("lme4_fastest")
  tmb <- of("glmmTMB")
  # Fisher weights instead of the observed information, or a moment estimate of the dispersion
  comparable <- !is.character(known$family) && known$family$family %in% c("binomial", "poisson")
  against_lme4 <- if (comparable) format_difference(ours$criterion, lme4$criterion) else ""
  differences <- c(against_lme4, format_difference(ours$criterion, tmb$criterion))
  table_row(
    known$title, format_count(rows$rows),
    format_time(ours), format_time(lme4), format_ratio(ours, lme4),
    format_time(fastest), format_ratio(ours, fastest), format_time(tmb), format_ratio(ours, tmb),
    format_pair(ours$evaluations, lme4$evaluations),
    paste(ifelse(nzchar(differences), differences, "-"), collapse = " / "),
    format_pair(ours$peak_mb, lme4$peak_mb)
  )
}

table_row <- function(...) paste0("| ", paste(c(...), collapse = " | "), " |")

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
