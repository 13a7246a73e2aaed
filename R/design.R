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
#' @param kernel Covariances between the levels of grouping factors: a list with the names of
#'   grouping factors of the formula, such as `list(id = K)`. Each element is a [kernel()] or a
#'   covariance matrix with row names, in which every level in the data must occur, in any order;
#'   others may be there. Default `NULL`: levels are independent. See the section on kernels in
#'   [design()].
#' @param family,ziformula,dispformula For a generalised model, as in [glmm()]. Default `NULL`: a
#'   linear model.
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
#'     1..J), `levels` (J names), `z` (n x p_t, or `NULL` for an intercept alone), `kernel` (with
#'     `loading`, J x r, whose cross-product is the covariance of the levels; absent without one),
#'     `expr`, and what prediction needs.}
#'   \item{na.action}{the rows dropped for missing values, or `NULL`.}
#'   \item{dropped_weights}{the number of rows dropped for zero weight, or without trials.}
#'   \item{inner}{a data frame of the variables that the frame holds only inside of functions, such
#'     as `x` of `log(x)`, or `NULL`.}
#'
#'   With a family the class is `c("pp_glmm_design", "pp_design")`, and there are also
#'   \item{family}{a family object.}
#'   \item{trials}{numeric, n: the number of trials of each row, or `NULL`. `y` is the proportion of
#'     successes then.}
#'   \item{dispersion, zi}{the models of the dispersion and of zero inflation, or `NULL`: lists of
#'     `formula`, `terms`, `xlevels`, `contrasts` and `X` (n rows).}
#' @section Kernels:
#' With `kernel = list(id = K)` the random effects of all terms on `id` have the covariance `Sigma`
#' times `K`: those of the levels i and j, for the columns of a term, `K[i, j] * Sigma`. With a
#' relationship matrix `(1 | id)` is the model of breeding values (Henderson 1975), with a matrix of
#' distances between sites or dates a Gaussian process. `K` may be singular: of duplicated levels,
#' or of fewer markers than levels. Estimated variances belong to `K` as given: `K` times c divides
#' them by c. Other terms of the formula are what they are without; an effect of the same levels
#' without correlation is written with a copy of the factor under another name: `(1 | id) + (1 |
#' copy)`. `predict()` for levels that the kernel has and the data have not is the best linear
#' unbiased prediction from their relatives. For a pedigree give `kernel(precision = )`, the sparse
#' inverse of the relationship matrix of all animals.
#'
#' Terms with a kernel are computed with dense matrices: the time of a fit grows with the cube of
#' the number of levels (of the rank of `K`, where that is smaller), the memory with its square, for
#' a sparse precision too. Levels with a single row, an intercept alone and no other random term are
#' what [kernel_lmm()] does faster.
#' @section Errors:
#' Topics `formula`, `data`, `variable`, `response`, `group`, `random`, `kernel`, `weights`,
#' `offset`, `missing`, `argument`, `rank` and `identifiability` of [partialpool-conditions].
#' @references Henderson CR (1975). Best linear unbiased estimation and prediction under a selection
#'   model. Biometrics 31, 423-447. \doi{10.2307/2529430}
#' @examples
#' d <- design(Reaction ~ Days + (Days | Subject), sleepstudy)
#' d
#' head(d$X)
#' d$random[[1]]$columns
#' @export
design <- function(formula, data = NULL, weights, offset, subset, na.action, contrasts = NULL,
                   kernel = NULL, family = NULL, ziformula = NULL, dispformula = NULL, ...) {
  call <- match.call()
  reject_dots(...)
  if (missing(formula)) {
    pp_abort("argument", c(x = "{.arg formula} is missing."))
  }
  if (is.null(family)) {
    return(design_from_call(call, parent.frame()))
  }
  family <- as_family(family)
  design_from_call(call, parent.frame(), TRUE, family, model_parts(family, ziformula, dispformula))
}

# The design that a fitting function needs: `call` is its match.call(), `env` the frame it was
# called from, `check` whether to give advisory warnings; `family` and `parts`, as model_parts()
# makes them, of a generalised model.
design_from_call <- function(call, env, check = TRUE, family = NULL, parts = list()) {
  formula <- as_model_formula(eval(call$formula, env), env)
  formula_env <- environment(formula)
  data <- evaluate_data(call$data, env)
  split <- split_formula(formula)
  dotted <- "." %in% all.names(formula[[3L]])
  columns <- if (dotted || "." %in% all_names(parts)) dot_columns(data)
  frame_terms <- full_terms(split, parts, columns, formula_env)
  extras <- evaluate_extras(call, data, formula_env, env, split$response, family)
  full_frame <- build_model_frame(frame_terms, data, extras)
  frame <- drop_frame_levels(full_frame)

  response <- response_part(frame, full_frame, split, family, parts, check)
  check_offset_terms(frame)
  check_frame_values(frame, split)
  contrasts <- check_contrasts(eval(call$contrasts, env))
  fixed <- fixed_effects(
    split, columns, frame, contrasts_outside(contrasts, parts, split), formula_env
  )
  random <- random_terms(split$bars, frame, full_frame, columns, split$response, formula_env)
  random <- attach_kernels(random, eval(call$kernel, env))
  if (dotted) {
    formula <- expand_dots(formula, fixed$terms, split)
  }
  design <- structure(
    list(
      formula = formula, frame = frame, terms = fixed$terms, xlevels = fixed$xlevels,
      contrasts = fixed$contrasts, X = fixed$X, y = response$y,
      weights = response$weights, offset = total_offset(frame),
      random = random, na.action = attr(frame, "na.action"),
      dropped_weights = extras$dropped_weights,
      inner = inner_variables(frame_terms, frame, data, extras$subset)
    ),
    class = "pp_design"
  )
  if (!is.null(family)) {
    part <- function(rhs, what) {
      part_design(rhs, what, split, columns, frame, contrasts, formula_env)
    }
    design$family <- family
    design["trials"] <- list(response$trials)
    design["dispersion"] <- list(part(parts$dispersion, "dispformula"))
    design["zi"] <- list(part(parts$zi, "ziformula"))
    class(design) <- c("pp_glmm_design", "pp_design")
  }
  check_design(design, check)
  if (check) {
    inform_design(design, split$bars, extras$dropped_trials)
  }
  design
}

# list(y, trials, weights) of the model frame.
response_part <- function(frame, full_frame, split, family, parts, advise) {
  label <- label_of(split$response)
  weights <- as_plain_vector(frame[["(weights)"]])
  if (is.null(family)) {
    return(list(y = check_response(frame[[1L]], label), weights = weights))
  }
  # What follows compares values.
  check_frame_values(frame, split)
  family_response(
    frame[[1L]], label, family, weights, levels(full_frame[[1L]]), row.names(frame),
    !is.null(parts$zi), advise
  )
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
      if (length(term$columns) == 1L) " column" else " columns",
      if (has_kernel(term)) ", with a kernel", "\n",
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

check_contrasts <- function(contrasts) {
  if (!is.null(contrasts) && !is.list(contrasts)) {
    pp_abort("argument", c(
      x = "{.arg contrasts} must be a named list, such as {.code list(f = contr.sum)}.",
      i = "It is {.obj_type_friendly {contrasts}}."
    ))
  }
  contrasts
}

# Without those for factors of ziformula or dispformula alone: R warns where the factor is missing.
contrasts_outside <- function(contrasts, parts, split) {
  elsewhere <- setdiff(unlist(lapply(parts, all_labels)), all_labels(split$fixed))
  if (any(names(contrasts) %in% elsewhere)) {
    contrasts <- contrasts[!names(contrasts) %in% elsewhere]
  }
  if (length(contrasts)) contrasts
}

all_names <- function(expressions) unlist(lapply(expressions, all.names))

# The data frame whose columns "." stands for.
dot_columns <- function(data) {
  if (is.null(data) || is.environment(data)) {
    pp_abort("formula", c(
      x = "{.code .} in the formula stands for the other columns of {.arg data}.",
      i = "{.arg data} is not a data frame."
    ))
  }
  if (is.data.frame(data)) data else as.data.frame(data, optional = TRUE)
}

# Terms of all variables: fixed effects, columns of random terms, grouping factors, further parts.
full_terms <- function(split, parts, columns, env) {
  lhs <- lapply(split$bars, function(bar) if (!is.numeric(bar$lhs)) call("(", bar$lhs))
  groups <- lapply(split$bars, function(bar) interaction_parts(bar$group))
  groups <- Filter(is.language, unlist(groups, recursive = FALSE))
  parts <- lapply(Filter(is.language, parts), function(rhs) call("(", rhs))
  rhs <- sum_of(c(list(split$fixed), lhs[lengths(lhs) > 0L], unique(groups), parts))
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
  terms_without(terms, dropped)
}

# The terms of the fixed effects without some, offsets and the data-dependent bases kept.
terms_without <- function(terms, dropped) {
  offsets <- vapply(as.list(attr(terms, "variables"))[1L + attr(terms, "offset")], label_of, "")
  labels <- setdiff(attr(terms, "term.labels"), dropped)
  rhs <- c(if (attr(terms, "intercept")) "1" else "0", labels, offsets)
  kept <- stats::terms(stats::reformulate(rhs, terms[[2L]], env = environment(terms)))
  at <- match(variable_names(kept), variable_names(terms))
  attr(kept, "predvars") <- attr(terms, "predvars")[c(1L, at + 1L)]
  attr(kept, "dataClasses") <- attr(terms, "dataClasses")[at]
  kept
}

total_offset <- function(frame) as_plain_vector(stats::model.offset(frame))

as_plain_vector <- function(x) if (!is.null(x)) as.numeric(x)
