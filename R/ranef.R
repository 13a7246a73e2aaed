# Conditional modes of the random effects, arranged by grouping factor as lme4 does.

#' @importFrom nlme ranef
#' @export
nlme::ranef

#' Random effects
#'
#' The conditional modes (best linear unbiased predictions) of the random effects, with their
#' conditional variances given the estimates of the fixed effects and of the covariance parameters:
#' the numbers of lme4's `ranef()`. For a fit by [glmm()] the modes are those of the integrand, and
#' the variances those of its normal approximation there (the inverse of the curvature). Several
#' terms on one grouping factor stand side by side.
#'
#' @param object A fit, as [lmm()] or [glmm()] returns it.
#' @param condVar `TRUE` (default) to attach the conditional variances.
#' @param whichel Names of the grouping factors wanted. Default all.
#' @param drop `TRUE` turns a table of one column into a named vector. Default `FALSE`.
#' @param x A result of `ranef()`.
#' @param row.names,optional Not used; part of the generic.
#' @param ... Not used; anything given to `ranef()` here is an error.
#' @return A list of class `"ranef.pp_fit"` with one data frame per grouping factor: a row per
#'   level, a column per effect, in units of the response (for [glmm()] of the link) per unit of the
#'   column. The attribute
#'   `"postVar"` of each holds the conditional covariance matrices, an array of columns x columns x
#'   levels (a list of such arrays when several terms share the factor). `as.data.frame()` gives one
#'   row per effect and level with the columns `grpvar`, `term`, `grp`, `condval` and `condsd`.
#' @section Errors: A name in `whichel` that is no grouping factor is of class
#'   `partialpool_error_argument`.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' head(ranef(fit)$Subject, 3)
#' head(as.data.frame(ranef(fit)), 3)
#' @export
ranef.pp_fit <- function(object, condVar = TRUE, whichel = NULL, drop = FALSE, ...) {
  reject_dots(...)
  groups <- vapply(object$random, function(term) term$group, "")
  wanted <- choose_groups(whichel, unique(groups))
  variances <- if (condVar && length(wanted)) {
    model <- engine_model(object)
    engine_conditional_covariance(engine(model), model)
  }
  tables <- lapply(wanted, function(group) {
    terms <- which(groups == group)
    modes <- object$b[terms]
    table <- as.data.frame(do.call(cbind, unname(modes)))
    row.names(table) <- object$random[[terms[1L]]]$levels
    names(table) <- unlist(lapply(object$random[terms], function(term) term$columns))
    if (condVar) attr(table, "postVar") <- join_variances(variances[terms], object$random[terms])
    if (drop && ncol(table) == 1L) drop_column(table) else table
  })
  structure(stats::setNames(tables, wanted), class = "ranef.pp_fit")
}

choose_groups <- function(whichel, groups) {
  if (is.null(whichel)) {
    return(groups)
  }
  unknown <- setdiff(whichel, groups)
  if (!is.character(whichel) || length(unknown)) {
    pp_abort("argument", c(
      x = "{.arg whichel} must name grouping factors of the fit.",
      i = "Not a grouping factor: {.val {unknown}}.",
      i = "The fit has {.val {groups}}."
    ))
  }
  groups[groups %in% whichel]
}

# One array for one term, as lme4; a named list of arrays for several terms on a factor.
join_variances <- function(arrays, terms) {
  if (length(arrays) == 1L) {
    return(arrays[[1L]])
  }
  names(arrays) <- vapply(terms, function(term) paste(term$columns, collapse = ", "), "")
  arrays
}

drop_column <- function(table) {
  values <- stats::setNames(table[[1L]], row.names(table))
  variance <- attr(table, "postVar")
  if (!is.null(variance)) attr(values, "postVar") <- base::drop(variance)
  values
}

#' @export
print.ranef.pp_fit <- function(x, ...) {
  for (group in names(x)) {
    cat("$", group, "\n", sep = "")
    values <- x[[group]]
    with_variance <- !is.null(attr(values, "postVar"))
    attr(values, "postVar") <- NULL
    print(values, ...)
    cat("\n")
  }
  if (length(x) && with_variance) {
    labels <- paste0("\"", names(x), "\"", collapse = ", ")
    cat(strwrap(paste("with conditional variances for", labels)), sep = "\n")
  }
  invisible(x)
}

#' @rdname ranef.pp_fit
#' @export
as.data.frame.ranef.pp_fit <- function(x, row.names = NULL, optional = FALSE, ...) {
  if (length(x) == 0L) {
    return(data.frame(
      grpvar = character(), term = factor(), grp = factor(), condval = numeric(), condsd = numeric()
    ))
  }
  do.call(rbind, lapply(names(x), function(group) long_table(x[[group]], group)))
}

# Levels of `grp` in the order of the first column, as lme4 has them for its caterpillar plots.
long_table <- function(table, group) {
  variance <- attr(table, "postVar")
  if (!is.data.frame(table)) {
    variance <- if (!is.null(variance)) array(variance, c(1L, 1L, length(table)))
    values <- as.vector(table)
    table <- data.frame("(Intercept)" = values, row.names = names(table), check.names = FALSE)
  }
  columns <- names(table)
  levels <- row.names(table)
  long <- data.frame(
    grpvar = group,
    term = factor(rep(columns, each = length(levels)), levels = unique(columns)),
    grp = factor(rep(levels, length(columns)), levels = levels[order(table[[1L]])]),
    condval = unlist(table, use.names = FALSE)
  )
  if (!is.null(variance)) long$condsd <- conditional_sd(variance)
  long
}

conditional_sd <- function(variance) {
  if (is.list(variance)) {
    return(unlist(lapply(variance, conditional_sd), use.names = FALSE))
  }
  diagonal <- lapply(seq_len(dim(variance)[1L]), function(k) variance[k, k, ])
  sqrt(unlist(diagonal, use.names = FALSE))
}
