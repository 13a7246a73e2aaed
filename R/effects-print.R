# The table of effects on the page.

#' @param x A table of effects.
#' @param digits Significant digits to print.
#' @rdname effects_table
#' @export
print.pp_effects <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  if (!whole_effects(x)) {
    print(unclass_effects(x), digits = digits, ...)
    return(invisible(x))
  }
  cat(strwrap(effects_heading(x), getOption("width"), exdent = 2L), "", sep = "\n")
  if (nrow(x) == 0L) {
    cat("No terms\n")
    return(invisible(x))
  }
  print(effects_cells(x, digits), row.names = FALSE, right = TRUE)
  notes <- effects_notes(x)
  if (length(notes)) {
    cat("\n")
    cat(strwrap(notes, getOption("width"), exdent = 2L), sep = "\n")
  }
  invisible(x)
}

# A choice of columns is a plain data frame: nothing says what the numbers are.
whole_effects <- function(x) {
  needed <- c("term", "contrast", "statistic", "df.residual")
  !is.null(attr(x, "test")) && all(needed %in% names(x))
}

effects_heading <- function(x) {
  type <- attr(x, "type")
  tests <- if (identical(attr(x, "test"), "Chisq")) {
    "Wald chi-square tests"
  } else {
    switch(attr(x, "ddf"),
      satterthwaite = "F tests with Satterthwaite's df",
      "kenward-roger" = "F tests with Kenward-Roger's df",
      residual = "F tests with residual df", "F tests with infinite df"
    )
  }
  coding <- switch(attr(x, "coding"),
    sum = "other factors averaged", fitted = "coefficients as fitted",
    contrasts = "in the contrasts given"
  )
  type <- if (!is.null(type)) paste("type", c("I", "II", "III")[type])
  c(paste("Effects:", paste(c(type, tests, coding), collapse = ", ")), attr(x, "call_formula"))
}

# Text of the cells: the rows of contrasts are indented below their term.
effects_cells <- function(x, digits) {
  cells <- list()
  contrast <- !is.na(x$contrast)
  cells$term <- format(ifelse(contrast, paste0("  ", x$contrast), x$term), justify = "left")
  number <- function(column) {
    text <- vapply(x[[column]], function(v) format(signif(v, digits), digits = digits), "")
    ifelse(is.na(x[[column]]), "", text)
  }
  together <- c("estimate", "std.error", "conf.low", "conf.high", "std.estimate")
  for (column in setdiff(names(x), c("term", "contrast"))) {
    values <- x[[column]]
    cells[[column]] <- if (column %in% c("p.value", "p.adjusted")) {
      ifelse(is.na(values), "", format.pval(values, digits = 3L, eps = 1e-16))
    } else if (column %in% together) {
      ifelse(is.na(values), "", format_jointly(values, digits))
    } else if (column == "df") {
      ifelse(is.na(values), "", format(values))
    } else if (column == "df.residual") {
      ifelse(is.na(values), "", formatC(values, digits = 1L, format = "f"))
    } else {
      number(column)
    }
  }
  # Chi-square tests have none.
  if (all(is.na(x$df.residual))) cells$df.residual <- NULL
  names(cells) <- c(
    term = "term", statistic = if (identical(attr(x, "test"), "Chisq")) "chisq" else "F",
    df = "df", df.residual = "den.df", p.value = "p", p.adjusted = "p.adj",
    estimate = "estimate", std.error = "se", conf.low = "low", conf.high = "high",
    std.estimate = "std.est", partial.eta2 = "eta2", partial.epsilon2 = "epsilon2",
    partial.omega2 = "omega2"
  )[names(cells)]
  names(cells)[is.na(names(cells))] <- "x"
  names(cells)[1L] <- ""
  structure(cells, class = "data.frame", row.names = seq_len(nrow(x)))
}

effects_notes <- function(x) {
  level <- attr(x, "level")
  several <- table(x$term[!is.na(x$contrast)])
  adjust <- attr(x, "p.adjust")
  c(
    if (length(several)) "Effect of a term of several columns: the mean of its coefficients.",
    if (!is.null(level)) paste0("low, high: ", format(100 * level), "% intervals."),
    if (!is.null(attr(x, "standardise"))) paste0("std.est: ", attr(x, "standardise"), "."),
    if ("p.adjusted" %in% names(x)) paste0("p.adj: ", adjustment_text(adjust, attr(x, "levels"))),
    if (length(attr(x, "lost"))) {
      paste("Dropped, not estimable:", paste(attr(x, "lost"), collapse = ", "))
    }
  )
}

adjustment_text <- function(method, levels) {
  if (method == "none") {
    return("holm, within the pairs of a term.")
  }
  paste0(method, ", over the terms, and within those of one term.")
}
