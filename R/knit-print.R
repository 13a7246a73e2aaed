# Fits and tables in knitted reports: tables of kable() with a sentence or two around them. In the
# console, and with the chunk option render = knitr::normal_print, they print as ever. knitr is only
# suggested: it finds these methods through the table in zzz.R.

knit_print.pp_fit <- function(x, ...) {
  if (inherits(x, "pp_kernel_traits")) {
    return(knitr::normal_print(x))
  }
  # The page of a fit has estimates and standard errors, that of its summary also tests.
  knit_summary(if (inherits(x, "pp_kernel_fit")) summary(x) else brief_summary(x), tests = FALSE)
}

# Degrees of freedom cost more than the rest, and are not shown.
brief_summary <- function(fit) {
  if (inherits(fit, "pp_lmm")) summary(fit, ddf = "none") else summary(fit)
}

knit_print.summary.pp_fit <- function(x, ...) knit_summary(x, tests = TRUE)

knit_print.summary.pp_kernel_fit <- function(x, ...) knit_summary(x, tests = TRUE)

knit_summary <- function(x, tests) {
  kernel <- inherits(x, "summary.pp_kernel_fit")
  method <- if (!tests) {
    ""
  } else if (kernel) {
    paste0(" (", x$tests, ")")
  } else {
    paste0(" (", ddf_label(x$ddf), ")")
  }
  report(
    report_strong(paste0(x$title, if (length(x$family)) family_suffix(x$family), ".")),
    if (length(x$formula)) report_code(deparse1(x$formula)),
    if (nrow(x$coefficients)) {
      report_table(coefficient_cells(x, tests), paste0("Fixed effects", method))
    },
    if (kernel) {
      report_table(parameter_cells(x$parameters), "Variances and parameters")
    } else if (length(x$random)) {
      report_table(varcorr_cells(x$varcor), "Random effects")
    },
    part_report(x$dispersion, "Dispersion model (log)", tests),
    part_report(x$zi, "Zero-inflation model (logit)", tests),
    if (!kernel && length(x$scale)) report_table(parameter_cells(x$scale), "Distribution"),
    report_text(paste(c(size_sentence(x), fit_sentence(x)), collapse = " ")),
    report_notes(summary_notes(x, kernel))
  )
}

family_suffix <- function(family) sprintf("; %s family, %s link", family_name(family), family$link)

ddf_label <- function(ddf) {
  switch(ddf,
    satterthwaite = "Satterthwaite's degrees of freedom",
    "kenward-roger" = "Kenward-Roger standard errors and degrees of freedom",
    residual = "residual degrees of freedom", "z tests"
  )
}

part_report <- function(table, caption, tests) {
  if (!is.null(table)) report_table(coefficient_matrix_cells(table, tests), caption)
}

summary_notes <- function(x, kernel) {
  if (kernel) {
    return(c(dropped_note(x$aliased), boundary_note(x), kernel_convergence_note(x)))
  }
  c(dropped_note(x$aliased), separation_note(x), convergence_note(x), singular_note(x))
}

size_sentence <- function(x) {
  groups <- if (length(x$ngrps)) {
    paste0("; levels: ", paste(names(x$ngrps), x$ngrps, collapse = ", "))
  }
  left_out <- c(x$left_out, x$dropped_weights)
  reasons <- c("with missing values", "of zero weight")[which(left_out > 0L)]
  left_out <- left_out[which(left_out > 0L)]
  paste0(
    x$n, " observations", groups,
    if (length(left_out)) paste0("; left out: ", paste(left_out, reasons, collapse = ", ")), "."
  )
}

fit_sentence <- function(x) {
  table <- x$AICtab
  rounded <- function(value) formatC(value, digits = 1L, format = "f")
  criterion <- if (length(table) == 1L) {
    paste0(names(table), " criterion ", rounded(table), ".")
  } else if (length(table)) {
    sprintf("AIC %s, BIC %s, log-likelihood %s.", rounded(table[["AIC"]]), rounded(table[["BIC"]]),
      rounded(table[["logLik"]]))
  }
  c(
    criterion,
    if (length(x$rsquared)) {
      sprintf("R-squared, given the random effects: %s.", format(x$rsquared, digits = 3L))
    },
    if (length(x$overdispersion)) {
      sprintf("Overdispersion %s (Pearson chi-square over %s degrees of freedom).",
        format(x$overdispersion[["ratio"]], digits = 3L), x$overdispersion[["df"]])
    }
  )
}

knit_print.VarCorr.pp_fit <- function(x, ...) {
  report(report_table(varcorr_cells(x), "Random effects"))
}

knit_print.pp_anova <- function(x, ...) {
  heading <- unlist(strsplit(as.character(attr(x, "heading")), "\n", fixed = TRUE))
  heading <- trimws(heading[nzchar(trimws(heading))])
  compared <- "Models:" %in% heading
  notes <- setdiff(if (compared) heading else heading[-1L], c("Model:", "Models:"))
  report(
    report_table(anova_cells(x), if (compared) "Comparison of models" else heading[1L]),
    report_notes(notes)
  )
}

knit_print.pp_effects <- function(x, ...) {
  if (!whole_effects(x)) {
    return(knitr::knit_print(knitr::kable(unclass_effects(x))))
  }
  cells <- effects_cells(x, 4L)
  percent <- paste0(format(100 * attr(x, "level")), "%")
  shown <- c(
    estimate = "estimate", se = "std.error", low = "conf.low", high = "conf.high",
    std.est = "std.estimate"
  )
  for (name in intersect(names(cells), names(shown))) {
    cells[[name]] <- number_cells(x[[shown[[name]]]])
  }
  statistic <- intersect(names(cells), c("F", "chisq"))
  cells[statistic] <- list(fixed_cells(x$statistic, 2L))
  shown <- c(p = "p.value", p.adj = "p.adjusted")
  for (name in intersect(names(cells), names(shown))) {
    cells[[name]] <- p_cells(x[[shown[[name]]]])
  }
  cells[[1L]] <- sub(" +$", "", cells[[1L]])
  titles <- c(
    den.df = "den. df", p.adj = "adjusted p", estimate = "Estimate", se = "SE",
    low = paste(percent, "low"), high = paste(percent, "high"), std.est = "Standardised"
  )
  known <- names(cells) %in% names(titles)
  names(cells)[known] <- titles[names(cells)[known]]
  notes <- effects_notes(x)
  notes <- sub("^p\\.adj:", "Adjusted p:", sub("^std\\.est:", "Standardised:", notes))
  report(
    report_table(cells, effects_heading(x)[1L]),
    report_notes(notes[!startsWith(notes, "low, high")])
  )
}

knit_print.pp_r_squared <- function(x, ...) {
  meanings <- c(
    marginal = "fixed effects", conditional = "fixed and random effects",
    residual = "1 - RSS / TSS, given the random effects"
  )
  values <- unclass(x)
  cells <- data.frame(
    name = names(values), value = formatC(as.vector(values), 3L, format = "f"),
    meaning = unname(meanings[names(values)])
  )
  names(cells) <- c("R-squared", "", "of")
  report(report_table(cells[!is.na(values), ], "Variance explained"))
}

knit_print.pp_profile <- function(x, ...) {
  interval <- stats::confint(x)
  estimates <- attr(x, "estimates")[rownames(interval)]
  cells <- row_cells(cbind(estimates, interval))
  names(cells) <- c("", "Estimate", colnames(interval))
  report(report_table(cells, "Intervals by the profile likelihood"))
}

knit_print.pp_bootstrap <- function(x, ...) knit_print.summary.pp_bootstrap(summary(x))

knit_print.summary.pp_bootstrap <- function(x, ...) {
  percent <- paste0(format(100 * attr(x, "level")), "%")
  values <- c("estimate", "bias", "std.error", "conf.low", "conf.high")
  numbers <- vapply(values, function(name) x[[name]], numeric(nrow(x)))
  numbers <- matrix(numbers, ncol = 5L, dimnames = list(attr(x, "row.names"), NULL))
  cells <- row_cells(numbers)
  names(cells) <- c("", "Estimate", "Bias", "SE", paste(percent, "low"), paste(percent, "high"))
  report(
    report_table(cells, attr(x, "heading")[1L]),
    report_notes(trimws(attr(x, "notes")))
  )
}

knit_print.pp_check <- function(x, ...) {
  marks <- c(ok = "\u2713", problem = "\u2717", note = "!", skipped = "\u2013")
  cells <- data.frame(
    mark = marks[x$status], Check = x$check, Finding = x$finding,
    next_step = ifelse(is.na(x$next_step), "", x$next_step)
  )
  names(cells) <- c("", "Check", "Finding", "Next step")
  if (all(cells[[4L]] == "")) cells <- cells[1:3]
  report(report_table(cells, "Checks of the fit", align = c("c", "l", "l", "l")[seq_along(cells)]))
}
