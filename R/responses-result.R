# The result of many responses: its tables, and how it prints.

new_responses <- function(found, responses, design, label, options, REML, family, call) {
  names <- colnames(design$X)
  m <- length(responses)
  generalised <- !is.null(family) && !is_gaussian(family)
  terms <- vapply(response_hypotheses(design, options$coding), function(h) h$term, "")
  coefficients <- coefficient_rows(found, responses, names, options$level)
  tests <- term_test_rows(found, responses, terms, generalised)
  coefficients <- adjust_responses(coefficients, options)
  tests <- adjust_responses(tests, options)
  sd <- t(found$sd)
  colnames(sd) <- unlist(lapply(design$random, function(term) {
    paste0("sd_", term$columns, "|", term$name)
  }))
  table <- data.frame(
    response = responses, status = found$status, n = found$n, sigma = found$sigma, sd,
    criterion = found$criterion, evaluations = found$evaluations, message = found$message,
    row.names = NULL, check.names = FALSE, stringsAsFactors = FALSE
  )
  structure(
    list(
      coefficients = coefficients, terms = tests, responses = table,
      vcov = array(found$vcov, c(length(names), length(names), m), list(names, names, responses)),
      formula = shown_formula(design$formula, label), family = family, REML = REML,
      ddf = if (generalised) "none" else if (length(design$random)) options$ddf else "residual",
      p.adjust = options$p.adjust, adjust.over = options$adjust.over, level = options$level,
      call = call
    ),
    class = "pp_responses"
  )
}

shown_formula <- function(formula, label) {
  formula[[2L]] <- if (label == "responses") quote(responses) else str2lang(label)
  formula
}

coefficient_rows <- function(found, responses, names, level) {
  p <- length(names)
  m <- length(responses)
  estimate <- as.vector(found$coefficients)
  se <- as.vector(found$se)
  df <- as.vector(found$df)
  statistic <- estimate / se
  half <- se * stats::qt((1 + level) / 2, df)
  data.frame(
    response = rep(responses, each = p), term = rep(names, m), estimate = estimate,
    std.error = se, statistic = statistic, df = df, p.value = 2 * stats::pt(-abs(statistic), df),
    conf.low = estimate - half, conf.high = estimate + half, stringsAsFactors = FALSE
  )
}

term_test_rows <- function(found, responses, terms, generalised) {
  k <- length(terms)
  f <- as.vector(found$f)
  num <- as.vector(found$num)
  den <- as.vector(found$den)
  data.frame(
    response = rep(responses, each = k), term = rep(terms, length(responses)),
    statistic = if (generalised) f * num else f, df = num,
    df.residual = if (generalised) rep(NA_real_, length(f)) else den,
    p.value = stats::pf(f, num, den, lower.tail = FALSE), stringsAsFactors = FALSE
  )
}

adjust_responses <- function(table, options) {
  if (options$p.adjust == "none") {
    return(table)
  }
  counted <- table$term != "(Intercept)"
  family <- switch(options$adjust.over,
    all = rep("", nrow(table)), responses = table$term, terms = table$response
  )
  table$p.adjusted <- NA_real_
  for (own in split(which(counted), factor(family[counted]))) {
    table$p.adjusted[own] <- stats::p.adjust(table$p.value[own], options$p.adjust)
  }
  table
}

#' @param x,object A result.
#' @param what Which table: `"coefficients"` (default), `"terms"` or `"responses"`.
#' @param row.names,optional Not used; part of the generic.
#' @rdname lmm_responses
#' @export
as.data.frame.pp_responses <- function(x, row.names = NULL, optional = FALSE,
                                       what = c("coefficients", "terms", "responses"), ...) {
  reject_dots(...)
  x[[choose_option(what, c("coefficients", "terms", "responses"), "what")]]
}

#' @rdname lmm_responses
#' @export
coef.pp_responses <- function(object, ...) {
  reject_dots(...)
  names <- dimnames(object$vcov)[[1L]]
  matrix(object$coefficients$estimate, ncol = length(names), byrow = TRUE,
    dimnames = list(object$responses$response, names)
  )
}

#' @param digits Significant digits to print.
#' @param n How many responses to print.
#' @rdname lmm_responses
#' @export
print.pp_responses <- function(x, digits = max(3L, getOption("digits") - 3L), n = 6L, ...) {
  print_responses_head(x)
  tests <- x$terms
  column <- if ("p.adjusted" %in% names(tests)) "p.adjusted" else "p.value"
  if (nrow(tests)) {
    shown <- utils::head(tests[order(tests[[column]]), ], n)
    cat("\nSmallest p-values of the terms:\n")
    for (p in intersect(c("p.value", "p.adjusted"), names(shown))) {
      shown[[p]] <- format.pval(shown[[p]], digits = 3L, eps = 1e-16)
    }
    if (all(is.na(shown$df.residual))) shown$df.residual <- NULL
    print(shown, digits = digits, row.names = FALSE)
  }
  invisible(x)
}

print_responses_head <- function(x) {
  kind <- if (is.null(x$family) || is_gaussian(x$family)) {
    paste("Linear mixed models, fitted by", if (x$REML) "REML" else "ML")
  } else {
    sprintf("Generalised linear mixed models, %s (%s)", family_name(x$family), x$family$link)
  }
  m <- nrow(x$responses)
  cat(kind, ": ", m, if (m == 1L) " response" else " responses", "\n", sep = "")
  cat(strwrap(deparse1(x$formula), getOption("width"), exdent = 2L), sep = "\n")
  used <- range(x$responses$n)
  cat("Rows: ", if (used[1L] == used[2L]) used[1L] else paste(used, collapse = " to "), "\n",
    sep = ""
  )
  counts <- table(factor(x$responses$status, unique(c("ok", x$responses$status))))
  counts <- counts[counts > 0L]
  cat("Status: ", paste(counts, names(counts), collapse = ", "), "\n", sep = "")
  failed <- unique(x$responses$message[x$responses$status == "failed"])
  for (text in utils::head(failed, 3L)) {
    cat(strwrap(text, getOption("width"), indent = 2L, exdent = 4L), sep = "\n")
  }
}

#' @rdname lmm_responses
#' @export
summary.pp_responses <- function(object, ...) {
  reject_dots(...)
  tests <- object$terms
  column <- if ("p.adjusted" %in% names(tests)) "p.adjusted" else "p.value"
  by_term <- lapply(unique(tests$term), function(term) {
    p <- tests[[column]][tests$term == term]
    data.frame(
      term = term, tested = sum(!is.na(p)), "p < 0.05" = sum(p < 0.05, na.rm = TRUE),
      "p < 0.01" = sum(p < 0.01, na.rm = TRUE), "smallest p" = min(p, Inf, na.rm = TRUE),
      check.names = FALSE
    )
  })
  parts <- grep("^sd_|^sigma$", names(object$responses), value = TRUE)
  sizes <- t(vapply(object$responses[parts], function(v) {
    stats::quantile(v, c(0.25, 0.5, 0.75), na.rm = TRUE, names = FALSE)
  }, numeric(3L)))
  colnames(sizes) <- c("25%", "median", "75%")
  structure(
    list(head = object, terms = do.call(rbind, by_term), p = column, components = sizes),
    class = "summary.pp_responses"
  )
}

#' @export
print.summary.pp_responses <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  print_responses_head(x$head)
  if (!is.null(x$terms)) {
    how <- if (x$p == "p.adjusted") paste0(" (adjusted, ", x$head$p.adjust, ")") else ""
    cat("\nTests of the terms", how, ":\n", sep = "")
    print(x$terms, digits = digits, row.names = FALSE)
  }
  cat("\nStandard deviations over the responses:\n")
  print(x$components, digits = digits)
  invisible(x)
}
