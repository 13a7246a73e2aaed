#' Design of a mixed model
#'
#' Turns a formula and data into the pieces that a fit is computed from: the model frame, the
#' fixed-effects matrix, the response, weights and offset, and the random-effects terms as codes of
#' their grouping factors and columns. The first of the stages of a fit; no parameter is estimated.
#'
#' @param formula A two-sided formula in the language of 'lme4', or a character string that holds
#'   one. Random-effects terms: `(1 | g)`, `(x | g)`, `(0 + x | g)`, `(x || g)`, `(1 | a/b)`,
#'   `(1 | a:b)`, and `us()`, `diag()`, `cs()`, `ar1()` around a bar term for its covariance
#'   structure, with `hom = TRUE` or `FALSE` for equal or separate variances. A formula without
#'   random terms is allowed.
#' @param data A data frame, tibble, data table, list, or a matrix with column names. Variables not
#'   in it are looked for in the formula's environment.
#' @param weights Prior weights, one a row, not negative: the residual variance of a row is
#'   `sigma^2 / weight`. Evaluated in `data`. Rows of zero weight are dropped and counted. Default
#'   none.
#' @param offset A known part of the linear predictor, in units of the response: one value a row,
#'   or a single one. Added to `offset()` terms of the formula. Default none.
#' @param subset Which rows to use: logical, row numbers or row names, evaluated in `data`. Default
#'   all.
#' @param na.action What to do with missing values: a function or its name. Default
#'   `getOption("na.action")`, usually [stats::na.omit()].
#' @param contrasts A list of contrasts for the factors of the fixed effects, as in [stats::lm()].
#' @param ... Must be empty: an unknown argument is an error.
#' @return A list of class `"pp_design"`:
#'   \item{formula}{the formula, with its environment, `.` expanded.}
#'   \item{frame}{the model frame: n rows, with every variable of the formula.}
#'   \item{terms, xlevels, contrasts}{of the fixed effects, as in [stats::lm()].}
#'   \item{X}{n x p fixed-effects matrix, linearly dependent columns included.}
#'   \item{y}{numeric, n.}
#'   \item{weights, offset}{numeric, n, or `NULL`. `offset` is the sum of all offsets.}
#'   \item{random}{a list, one element a random-effects term, in decreasing order of the number of
#'     levels: `group`, `name`, `columns` (p_t names), `structure`, `hom`, `codes` (integer, n,
#'     1..J), `levels` (J names), `z` (n x p_t, or `NULL` for an intercept alone), `expr`, and what
#'     prediction needs.}
#'   \item{na.action}{the rows dropped for missing values, or `NULL`.}
#'   \item{dropped_weights}{the number of rows dropped for zero weight.}
#' @section Errors:
#' Topics `formula`, `data`, `variable`, `response`, `group`, `random`, `weights`, `offset`,
#' `missing`, `argument`, `rank` and `identifiability` of [partialpool-conditions].
#' @examples
#' d <- design(Reaction ~ Days + (Days | Subject), sleepstudy)
#' d
#' head(d$X)
#' d$random[[1]]$columns
#' @export
design <- function(formula, data = NULL, weights, offset, subset, na.action, contrasts = NULL,
                   ...) {
  call <- match.call()
  reject_dots(...)
  if (missing(formula)) {
    pp_abort("argument", c(x = "{.arg formula} is missing."))
  }
  design_from_call(call, parent.frame())
}

# The design that a fitting function needs: `call` is its match.call(), `env` the frame it was
# called from, `check` whether to give advisory warnings.
design_from_call <- function(call, env, check = TRUE) {
  formula <- as_model_formula(eval(call$formula, env), env)
  formula_env <- environment(formula)
  data <- evaluate_data(call$data, env)
  split <- split_formula(formula)
  columns <- dot_columns(split, data, formula)
  frame_terms <- full_terms(split, columns, formula_env)
  extras <- evaluate_extras(call, data, formula_env, env, split$response)
  full_frame <- build_model_frame(frame_terms, data, extras)
  frame <- drop_frame_levels(full_frame)

  y <- check_response(frame[[1L]], label_of(split$response))
  check_offset_terms(frame)
  check_frame_values(frame, split)
  fixed <- fixed_effects(split, columns, frame, eval(call$contrasts, env), formula_env)
  random <- random_terms(split$bars, frame, full_frame, columns, split$response, formula_env)
  if (!is.null(columns)) {
    formula <- expand_dots(formula, fixed$terms, split)
  }
  design <- structure(
    list(
      formula = formula, frame = frame, terms = fixed$terms, xlevels = fixed$xlevels,
      contrasts = fixed$contrasts, X = fixed$X, y = y,
      weights = as_plain_vector(frame[["(weights)"]]), offset = total_offset(frame),
      random = random, na.action = attr(frame, "na.action"),
      dropped_weights = extras$dropped_weights
    ),
    class = "pp_design"
  )
  check_design(design, check)
  if (check) {
    inform_design(design, split$bars)
  }
  design
}

#' @param x A `"pp_design"` object.
#' @rdname design
#' @export
print.pp_design <- function(x, ...) {
  cat("Design of a mixed model: ", label_of(x$formula), "\n", sep = "")
  cat("  ", length(x$y), " rows, ", ncol(x$X), " fixed-effects columns\n", sep = "")
  for (term in x$random) {
    cat(
      "  ", label_of(term$expr), ": ", length(term$levels), " levels, ", length(term$columns),
      if (length(term$columns) == 1L) " column" else " columns", "\n",
      sep = ""
    )
  }
  invisible(x)
}

# X and what goes with it.
fixed_effects <- function(split, columns, frame, contrasts, env) {
  terms <- stats::terms(make_formula(split$fixed, split$response, env), data = columns)
  terms <- drop_response_terms(prediction_terms(terms, frame), label_of(split$response))
  names <- variable_names(terms)[-1L]
  columns <- factorise(frame, names)
  is_factor <- vapply(names, function(name) is.factor(.subset2(columns, name)), NA)
  check_factor_levels(columns, names[is_factor])
  if (!is.null(contrasts) && !is.list(contrasts)) {
    pp_abort("argument", c(
      x = "{.arg contrasts} must be a named list, such as {.code list(f = contr.sum)}.",
      i = "It is {.obj_type_friendly {contrasts}}."
    ))
  }
  X <- model_matrix(terms, columns, contrasts)
  list(
    terms = terms, X = X, contrasts = attr(X, "contrasts"),
    xlevels = if (any(is_factor)) lapply(unclass(columns)[names[is_factor]], levels)
  )
}

model_matrix <- function(terms, columns, contrasts = NULL) {
  tryCatch(
    stats::model.matrix.default(terms, columns, contrasts.arg = contrasts),
    error = function(e) {
      reason <- conditionMessage(e)
      label <- label_of(terms[[length(terms)]])
      pp_abort("variable", c(x = "No model matrix can be made of {.code {label}}.", i = "{reason}"))
    }
  )
}

# The data frame whose columns "." stands for, or NULL if the formula has no dot.
dot_columns <- function(split, data, formula) {
  if (!"." %in% all.names(formula[[length(formula)]])) {
    return(NULL)
  }
  if (is.null(data) || is.environment(data)) {
    pp_abort("formula", c(
      x = "{.code .} in the formula stands for the other columns of {.arg data}.",
      i = "{.arg data} is not a data frame."
    ))
  }
  if (is.data.frame(data)) data else as.data.frame(data, optional = TRUE)
}

# Terms of all variables: fixed effects, columns of random terms, grouping factors.
full_terms <- function(split, columns, env) {
  lhs <- lapply(split$bars, function(bar) if (!is.numeric(bar$lhs)) call("(", bar$lhs))
  groups <- lapply(split$bars, function(bar) interaction_parts(bar$group))
  groups <- Filter(is.language, unlist(groups, recursive = FALSE))
  rhs <- sum_of(c(list(split$fixed), lhs[lengths(lhs) > 0L], unique(groups)))
  stats::terms(make_formula(rhs, split$response, env), data = columns)
}

# "." replaced by what it stands for, so that update() and formula() need no data.
expand_dots <- function(formula, fixed_terms, split) {
  fixed <- stats::formula(fixed_terms)
  bars <- lapply(split$bars, function(bar) {
    if (is_bar(bar$expr)) call("(", bar$expr) else bar$expr
  })
  formula[[3L]] <- sum_of(c(list(fixed[[3L]]), bars))
  formula
}

# R drops a response from the right-hand side too, but with two warnings that do not say so.
drop_response_terms <- function(terms, response) {
  factors <- attr(terms, "factors")
  at <- if (length(factors)) which(factors[1L, ] > 0) else integer()
  if (!length(at)) {
    return(terms)
  }
  dropped <- attr(terms, "term.labels")[at]
  pp_warn("formula", c(
    "!" = "The response {.var {response}} stands on the right-hand side of the formula too.",
    i = "Left out: {.code {dropped}}."
  ))
  labels <- attr(terms, "term.labels")[-at]
  offsets <- vapply(as.list(attr(terms, "variables"))[1L + attr(terms, "offset")], label_of, "")
  rhs <- c(if (attr(terms, "intercept")) "1" else "0", labels, offsets)
  kept <- stats::terms(stats::reformulate(rhs, terms[[2L]], env = environment(terms)))
  names <- match(variable_names(kept), variable_names(terms))
  attr(kept, "predvars") <- attr(terms, "predvars")[c(1L, names + 1L)]
  attr(kept, "dataClasses") <- attr(terms, "dataClasses")[names]
  kept
}

total_offset <- function(frame) as_plain_vector(stats::model.offset(frame))

as_plain_vector <- function(x) if (!is.null(x)) as.numeric(x)
