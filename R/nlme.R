# Generics of nlme that scripts call on mixed models: what the fit stores, nothing evaluated again.

#' Groups, data, response and covariances under nlme's names
#'
#' What the generics of the nlme package give of a fit: `getGroups()` the grouping factor of each
#' row, `getData()` the rows that were fitted, `getResponse()` the response, `getVarCov()`
#' covariance matrices, and `intervals()` confidence intervals of all parameters. All come from what
#' the fit stores: the data that made it may be gone.
#'
#' @param object,obj A fit, as [lmm()] or [glmm()] returns it.
#' @param form,data,sep Not used; part of the generics.
#' @param level For `getGroups()`: names or numbers of the grouping factors, in the order of
#'   [ranef()]. Default: the factor with the most levels. For `intervals()`: the coverage, 0.95 by
#'   default.
#' @param type For `getVarCov()`: `"random.effects"` (default), the covariance matrix of a random
#'   term; `"conditional"` that of the residuals, `"marginal"` that of the response, of the rows of
#'   `individuals`, for a fit by [lmm()].
#' @param individuals Levels of the first grouping factor, or their numbers. Default 1.
#' @param which For `intervals()`: `"all"` (default), `"fixed"`, or `"var-cov"`.
#' @param ... For `intervals()`: arguments of [confint()][confint.pp_fit], as `method`. Otherwise
#'   not used; anything given is an error.
#' @return `getGroups()`: a factor with a value a row fitted, or a data frame of several.
#'   `getData()`: a data frame of the rows fitted, with the other variables of the data if those are
#'   still there and the same. `getResponse()`: a vector, or for binomial models what was given.
#'   `getVarCov()`: a matrix in squared units of the response, a list of them for several terms or
#'   individuals. `intervals()`: a list of class `"pp_intervals"` with matrices `fixed` and `random`
#'   of columns `lower`, `est.` and `upper`.
#' @section Errors: A `level` or `individuals` that the fit has not is of class
#'   `partialpool_error_argument`.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' table(nlme::getGroups(fit))
#' nlme::getVarCov(fit)
#' nlme::intervals(fit, which = "fixed", method = "wald")
#' @rawNamespace S3method(nlme::getData,pp_fit)
#' @name nlme-generics
NULL

#' @rdname nlme-generics
#' @method getGroups pp_fit
#' @rawNamespace S3method(nlme::getGroups,pp_fit)
getGroups.pp_fit <- function(object, form, level, data, sep, ...) {
  reject_dots(...)
  factors <- stored_groups(object)
  if (!length(factors)) {
    return(NULL)
  }
  if (missing(level)) {
    return(factors[[1L]])
  }
  chosen <- factors[choose_level_names(level, names(factors))]
  if (length(chosen) == 1L) chosen[[1L]] else as.data.frame(chosen, optional = TRUE)
}

# The grouping factors, each once, in the order of the terms.
stored_groups <- function(fit) {
  groups <- vapply(fit$random, function(term) term$group, "")
  first <- fit$random[!duplicated(groups)]
  factors <- lapply(first, function(term) {
    structure(term$codes, levels = as.character(term$levels), class = "factor")
  })
  stats::setNames(factors, unique(groups))
}

choose_level_names <- function(level, known) {
  chosen <- if (is.numeric(level)) known[level] else match.arg(level, known, several.ok = TRUE)
  if (!length(chosen) || anyNA(chosen)) {
    pp_abort("argument", c(
      x = "{.arg level} must name grouping factors of the fit, or be their numbers.",
      i = "It has {.val {known}}."
    ))
  }
  chosen
}

# The rows of the fit, with variables that the model does not have where its data are still there
# and still the same. DHARMa has a generic of this name, too.
getData.pp_fit <- function(object, ...) {
  data <- rows_of_call_data(object)
  if (is.null(data)) object$frame else data
}

#' @rdname nlme-generics
#' @method getResponse pp_fit
#' @rawNamespace S3method(nlme::getResponse,pp_fit)
getResponse.pp_fit <- function(object, form) {
  if (is.null(object$frame)) object$y else stats::model.response(object$frame)
}

#' @rdname nlme-generics
#' @method getVarCov pp_fit
#' @rawNamespace S3method(nlme::getVarCov,pp_fit)
getVarCov.pp_fit <- function(obj, individuals, type = c("random.effects", "conditional",
                                                        "marginal"), ...) {
  reject_dots(...)
  type <- choose_option(type, c("random.effects", "conditional", "marginal"), "type")
  if (type == "random.effects") {
    if (inherits(obj, "pp_kernel_fit")) {
      pp_abort("argument", c(
        x = "A kernel model has no random terms: its covariance is that of the kernel.",
        ">" = "Use {.fn VarCorr}."
      ))
    }
    plain <- lapply(VarCorr.pp_fit(obj), function(v) {
      matrix(v, nrow(v), dimnames = dimnames(v))
    })
    return(if (length(plain) == 1L) plain[[1L]] else plain)
  }
  check_gaussian_rows(obj)
  group <- getGroups.pp_fit(obj)
  chosen <- if (missing(individuals)) levels(group)[1L] else individual_levels(individuals, group)
  found <- lapply(stats::setNames(nm = chosen), function(level) {
    row_covariance(obj, which(group == level), type == "marginal")
  })
  if (length(found) == 1L) found[[1L]] else found
}

check_gaussian_rows <- function(fit) {
  if (!inherits(fit, "pp_lmm") || !has_random(fit)) {
    pp_abort("argument", c(
      x = "Covariances of rows are for fits by {.fn lmm} with random terms.",
      ">" = "Use {.code type = \"random.effects\"}."
    ))
  }
}

individual_levels <- function(individuals, group) {
  chosen <- if (is.numeric(individuals)) levels(group)[individuals] else as.character(individuals)
  unknown <- setdiff(chosen, levels(group))
  if (length(unknown)) {
    pp_abort("argument", c(
      x = "{.arg individuals} must be levels of the first grouping factor, or their numbers.",
      i = "Not a level: {.val {individuals[!chosen %in% levels(group)]}}."
    ))
  }
  chosen
}

row_covariance <- function(fit, rows, marginal) {
  w <- if (is.null(fit$weights)) rep(1, length(rows)) else fit$weights[rows]
  value <- diag(1 / w, length(rows))
  if (marginal) {
    ZL <- random_matrix(fit)[rows, , drop = FALSE] %*% random_factor(fit)
    value <- value + as.matrix(Matrix::tcrossprod(ZL))
  }
  names <- row.names(fit$frame)[rows]
  structure(fit$sigma^2 * value, dimnames = list(names, names))
}

#' @rdname nlme-generics
#' @method intervals pp_fit
#' @rawNamespace S3method(nlme::intervals,pp_fit)
intervals.pp_fit <- function(object, level = 0.95, which = c("all", "fixed", "var-cov"), ...) {
  which <- choose_option(which, c("all", "fixed", "var-cov"), "which")
  fixed <- names(object$coefficients)
  if (inherits(object, "pp_kernel_fit")) {
    table <- stats::confint(object, level = level, full = which != "fixed", ...)
    estimates <- c(object$coefficients, unlist(stored_parameters(object)[-1L]))
  } else {
    table <- stats::confint(object, if (which == "fixed") fixed, level = level, ...)
    estimates <- natural_parameters(object)
  }
  estimates <- estimates[match(row.names(table), names(estimates))]
  table <- cbind(lower = table[, 1L], est. = estimates, upper = table[, 2L])
  is_fixed <- row.names(table) %in% fixed
  parts <- list(
    fixed = if (which != "var-cov") table[is_fixed, , drop = FALSE],
    random = if (which != "fixed") table[!is_fixed, , drop = FALSE]
  )
  structure(Filter(Negate(is.null), parts), level = level, class = "pp_intervals")
}

#' @export
print.pp_intervals <- function(x, ...) {
  cat("Confidence intervals, ", format(100 * attr(x, "level")), "%\n", sep = "")
  titles <- c(fixed = "Fixed effects", random = "Random effects and residuals")
  for (part in names(x)) {
    cat("\n", titles[[part]], ":\n", sep = "")
    print(x[[part]], ...)
  }
  invisible(x)
}
