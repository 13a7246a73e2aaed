#' A mixed model of a labelled matrix, as one call
#'
#' Takes a numeric matrix with the labels and types of its columns, a formula and a family, fits the
#' model, and gives for each term of the fixed effects the test, the effect and its standard error:
#' the call of FiNN's `glmm.run()` for R.
#'
#' Where it differs from that function: `contrasts` are honoured, the effects and tests being those
#' in the coding chosen; the effect of a term of several columns is the mean of its coefficients
#' with the standard error of that mean; levels of any name are told apart; a model without random
#' effects is a linear or generalised linear model of its family; fits are by the Laplace
#' approximation; a failure gives `NA`, never a p-value of 1. Neither `data` nor the workspace is
#' changed.
#'
#' @param data A numeric matrix, one column a variable, or a data frame, which may have columns of
#'   any type.
#' @param label_name Character: the names of the columns. Default: those that `data` has.
#' @param factor_type Character, one a column: `"continuous"` or `"categorical"`. Levels of a
#'   categorical column of numbers are in numerical order. Default for a data frame: what its
#'   columns are; for a matrix: continuous.
#' @param formula A formula in the language of 'lme4', see [design()], or a character string.
#' @param contrasts The coding of the factors: a named list of contrast functions, their names or
#'   matrices, or the text of such a list, `"list(a = contr.sum)"`. Entries for continuous or
#'   grouping variables do nothing. Default `NULL`: R's, [stats::contr.treatment()].
#' @param data_type The family: `"gaussian"` (default), `"binomial"`, `"poisson"`, `"gamma"` or any
#'   that [glmm()] knows; a family object or function.
#' @param return_covariance `TRUE` adds the covariance matrix of the coefficients. Default `FALSE`.
#' @param link Link of a family given by its name. Default `NULL`: that of the family (for Gamma the
#'   inverse).
#' @param type,ddf,test,level,p.adjust As in [effects_table()]. The default test is Wald's
#'   chi-square; F for a linear model without random effects.
#' @param on_error What an error of the fit does: `"status"` (default) gives a result with `NA`
#'   everywhere and the cause in `message`; `"stop"` signals it. Wrong arguments are errors in any
#'   case.
#' @param ... Further arguments of [lmm()] or [glmm()], such as `REML`, `weights` (evaluated in the
#'   data) or `nAGQ`.
#' @return A list of class `"pp_run_glmm"`: `scores` (test statistics), `df` (their degrees of
#'   freedom), `p`, `effects`, `std_errors`: numeric, named by `factors`, the terms, the intercept
#'   last; with `return_covariance` also `covariance`; then `table` (by [effects_table()]), `status`
#'   (`"ok"`, `"singular"`, `"dropped"`: columns left out, `"separation"`, `"not converged"` or
#'   `"failed"`), `message` (what is to be known about the fit, or why there is none), `fit`, and
#'   `rows`, the numbers of rows used and left out. A term whose columns were all left out has `NA`.
#' @section Errors: `partialpool_error_argument` for wrong labels, types and options, unknown
#'   variables in `formula`, and contrasts that cannot be read; `partialpool_error_formula`,
#'   `partialpool_error_family` and `partialpool_error_data` as in [lmm()].
#' @examples
#' m <- cbind(sleepstudy$Reaction, sleepstudy$Days, as.numeric(sleepstudy$Subject))
#' run_glmm(
#'   m, c("reaction", "days", "subject"), c("continuous", "continuous", "categorical"),
#'   "reaction ~ days + (1 + days | subject)"
#' )
#' @export
run_glmm <- function(data, label_name = colnames(data), factor_type = NULL, formula,
                     contrasts = NULL, data_type = "gaussian", return_covariance = FALSE,
                     link = NULL, type = 3, ddf = NULL, test = NULL, level = 0.95,
                     p.adjust = "none", on_error = c("status", "stop"), ...) {
  on_error <- choose_option(on_error, c("status", "stop"), "on_error")
  return_covariance <- check_flag(return_covariance, "return_covariance")
  type <- choose_type(type)
  check_level(level)
  frame <- labelled_frame(data, label_name, factor_type)
  if (missing(formula)) {
    pp_abort("argument", c(x = "{.arg formula} is missing."))
  }
  formula <- as_model_formula(formula, parent.frame())
  check_known_variables(formula, names(frame))
  family <- family_of_type(data_type, link)
  contrasts <- contrasts_for_fit(contrasts, formula, frame)

  linear <- is_gaussian(family)
  arguments <- c(
    list(if (linear) quote(lmm) else quote(glmm), formula = formula, data = frame),
    if (!linear) list(family = family),
    if (length(contrasts)) list(contrasts = contrasts),
    match.call(expand.dots = FALSE)$...
  )
  arguments[[1L]] <- if (linear) lmm else glmm
  call <- as.call(arguments)
  env <- parent.frame()
  tried <- try_model(on_error, {
    fit <- eval(call, env)
    if (is.null(test) && is.null(ddf) && (!linear || has_random(fit))) test <- "Chisq"
    list(fit = fit, table = effects_table(
      fit, type, ddf = ddf, test = test, level = level, p.adjust = p.adjust, coding = "fitted"
    ))
  })
  if (is.null(tried$value)) {
    return(failed_run(formula, frame, tried$message, return_covariance))
  }
  new_run(tried$value$fit, tried$value$table, tried$message, return_covariance, nrow(frame))
}

new_run <- function(fit, table, message, return_covariance, n) {
  status <- fit_status(fit)
  rows <- c(used = fit$n, left_out = n - fit$n)
  if (rows[["left_out"]] > 0L) {
    left <- rows[["left_out"]]
    message <- c(message, sprintf("%d of %d rows left out, %d used.", left, n, fit$n))
  }
  run_result(table, if (return_covariance) list(stats::vcov(fit)), status, message, fit, rows)
}

run_result <- function(table, covariance, status, message, fit, rows) {
  terms <- table[is.na(table$contrast), , drop = FALSE]
  named <- function(column) stats::setNames(terms[[column]], terms$term)
  structure(
    c(
      list(
        scores = named("statistic"), df = named("df"), p = named("p.value"),
        effects = named("estimate"), std_errors = named("std.error"), factors = terms$term
      ),
      if (!is.null(covariance)) list(covariance = covariance[[1L]]),
      list(
        table = table, status = status, message = paste(message, collapse = "\n"), fit = fit,
        rows = rows
      )
    ),
    class = "pp_run_glmm"
  )
}

failed_run <- function(formula, frame, message, return_covariance) {
  labels <- fixed_labels(formula, frame)
  missing <- rep(NA_real_, length(labels))
  table <- data.frame(
    term = labels, contrast = rep(NA_character_, length(labels)), statistic = missing,
    df = missing, df.residual = missing, p.value = missing, estimate = missing,
    std.error = missing, conf.low = missing, conf.high = missing
  )
  class(table) <- c("pp_effects", "data.frame")
  attr(table, "call_formula") <- deparse1(formula)
  covariance <- if (return_covariance) list(NULL)
  run_result(table, covariance, "failed", message, NULL, c(used = 0L, left_out = nrow(frame)))
}

# Labels of the fixed-effects terms, the intercept last; without data if need be.
fixed_labels <- function(formula, frame) {
  split <- split_formula(formula)
  fixed <- stats::terms(
    make_formula(split$fixed, split$response, environment(formula)), data = frame
  )
  c(attr(fixed, "term.labels"), if (attr(fixed, "intercept")) "(Intercept)")
}

# The worst that is to be said of a fit.
fit_status <- function(fit) {
  convergence <- fit$convergence
  if (!identical(convergence$status, "converged")) {
    "not converged"
  } else if (length(convergence$separation$columns)) {
    "separation"
  } else if (length(fit$aliased)) {
    "dropped"
  } else if (isTRUE(convergence$singular)) {
    "singular"
  } else {
    "ok"
  }
}

# list(value, message): what the code gives and what was said on the way. An error of the model
# gives no value, unless `on_error` is "stop"; wrong arguments are errors.
try_model <- function(on_error, code) {
  said <- character()
  keep <- function(condition) said <<- c(said, flat_message(condition))
  value <- tryCatch(
    withCallingHandlers(code,
      partialpool_message = function(m) {
        keep(m)
        invokeRestart("muffleMessage")
      },
      partialpool_warning = function(w) {
        keep(w)
        invokeRestart("muffleWarning")
      }
    ),
    error = function(e) {
      wrong <- paste0("partialpool_error_", c("argument", "formula", "family", "prior", "start"))
      if (on_error == "stop" || inherits(e, wrong)) stop(e)
      keep(e)
      NULL
    }
  )
  list(value = value, message = said)
}

flat_message <- function(condition) {
  text <- cli::ansi_strip(conditionMessage(condition))
  gsub("[[:space:]]+", " ", trimws(text))
}

#' @param x A result.
#' @param digits Significant digits to print.
#' @rdname run_glmm
#' @export
print.pp_run_glmm <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  if (is.null(x$fit)) {
    cat("No fit: ", attr(x$table, "call_formula"), "\n", sep = "")
  } else {
    print(x$table, digits = digits)
  }
  cat("\nStatus: ", x$status, "\n", sep = "")
  for (line in strsplit(x$message, "\n", fixed = TRUE)[[1L]]) {
    cat(strwrap(line, getOption("width"), exdent = 2L), sep = "\n")
  }
  invisible(x)
}

#' @rdname run_glmm
#' @param row.names,optional Not used; part of the generic.
#' @export
as.data.frame.pp_run_glmm <- function(x, row.names = NULL, optional = FALSE, ...) {
  as.data.frame(unclass_effects(x$table))
}

unclass_effects <- function(table) {
  structure(
    unclass(table)[seq_along(table)], names = names(table), class = "data.frame",
    row.names = seq_len(nrow(table))
  )
}
