# The model frame of a mixed model: every variable of the formula, weights and offset, after
# subset and na.action, without rows of zero weight.

# The data of a call: a data frame, list or environment, or NULL.
evaluate_data <- function(expr, env) {
  data <- tryCatch(eval(expr, env), error = function(e) {
    reason <- conditionMessage(e)
    pp_abort("data", c(x = "{.arg data} cannot be evaluated.", i = "{reason}"))
  })
  if (is.null(data) || is.data.frame(data) || is.environment(data)) {
    return(data)
  }
  if (is.matrix(data) && !is.null(colnames(data))) {
    return(as.data.frame(data))
  }
  if (is.list(data)) {
    return(if (is.object(data)) as.data.frame(data) else data)
  }
  pp_abort("data", c(
    x = "{.arg data} must be a data frame.",
    i = "It is {.obj_type_friendly {data}}.",
    ">" = if (is.matrix(data)) "Give the matrix column names: they are the variables' names."
  ))
}

# Evaluates the arguments weights, offset, subset and na.action of a call: in the data, then in the
# formula's environment, then where the call stands. The result of each is NULL if not given.
# Rows of zero weight, or without trials, carry no information and are counted and left out through
# `subset`.
evaluate_extras <- function(call, data, formula_env, env, response, family = NULL) {
  evaluate <- function(what) evaluate_argument(call[[what]], data, formula_env, env, what)
  weights <- evaluate("weights")
  offset <- evaluate("offset")
  subset <- evaluate("subset")
  n <- NULL
  if (!is.null(weights) || !is.null(offset)) {
    n <- count_data_rows(data, response, formula_env)
  }
  extras <- list(
    weights = check_weights_argument(weights, n),
    offset = check_offset_argument(offset, n),
    subset = check_subset(subset),
    na.action = evaluate_na_action(call$na.action, env),
    dropped_weights = 0L, dropped_trials = 0L
  )
  if (any(weights == 0, na.rm = TRUE)) {
    extras <- drop_rows(extras, data, weights == 0, "weights")
  }
  if (!is.null(family) && traits_of(family)$response == "proportion") {
    empty <- rows_without_trials(response, data, formula_env)
    if (any(empty, na.rm = TRUE)) extras <- drop_rows(extras, data, empty, "trials")
  }
  extras
}

evaluate_argument <- function(expr, data, formula_env, env, what) {
  if (is.null(expr)) {
    return(NULL)
  }
  tryCatch(eval(passed_expression(expr, env), data, formula_env), error = function(e) {
    tryCatch(eval(expr, data, env), error = function(e) {
      reason <- conditionMessage(e)
      topic <- if (what == "subset") "argument" else what
      pp_abort(topic, c(
        x = "{.arg {what}} cannot be evaluated: {.code {label_of(expr)}}.",
        i = "{reason}"
      ))
    })
  })
}

# An argument that came through the `...` of a wrapper is called ..1, ..2 there: what its caller
# wrote is meant.
passed_expression <- function(expr, env) {
  if (!is.symbol(expr) || !grepl("^[.][.][0-9]+$", expr)) {
    return(expr)
  }
  dots <- eval(quote(substitute(list(...))), env)
  dots[[1L + as.integer(substring(expr, 3L))]]
}

count_data_rows <- function(data, response, formula_env) {
  if (is.data.frame(data)) {
    return(nrow(data))
  }
  tryCatch(NROW(eval(response, data, formula_env)), error = function(e) NULL)
}

evaluate_na_action <- function(expr, env) {
  action <- if (is.null(expr)) getOption("na.action", "na.omit") else eval(expr, env)
  if (is.null(action)) {
    return(stats::na.pass)
  }
  if (is.character(action) && length(action) == 1L) {
    action <- get0(action, env, mode = "function")
  }
  if (!is.function(action)) {
    pp_abort("argument", c(
      x = "{.arg na.action} must be a function, or the name of one, such as {.fn na.omit}."
    ))
  }
  action
}

# `empty`: which rows of the data carry no information, for the reason `what`.
drop_rows <- function(extras, data, empty, what) {
  rows <- seq_along(empty)
  if (!is.null(extras$subset)) {
    if (is.character(extras$subset)) {
      extras$subset <- match(extras$subset, row.names(data))
    }
    rows <- rows[extras$subset]
  }
  out <- empty[rows]
  out[is.na(out)] <- FALSE
  if (length(out) && all(out)) {
    pp_abort(if (what == "weights") "weights" else "response", c(
      x = if (what == "weights") "All {.arg weights} are zero." else "No row has any trials.",
      i = "A row {if (what == 'weights') 'of zero weight' else 'without trials'} carries no
           information: no row is left."
    ))
  }
  extras$subset <- rows[!out]
  extras$dropped_weights <- extras$dropped_weights + sum(out)
  if (what == "trials") extras$dropped_trials <- sum(out)
  extras
}

# The frame, its factors with all their levels: unused ones are dropped by drop_frame_levels().
build_model_frame <- function(frame_terms, data, extras) {
  arguments <- list(
    formula = frame_terms, data = data, subset = extras$subset,
    na.action = quick_na_action(extras$na.action),
    weights = extras$weights, offset = extras$offset
  )
  # The values stand in the call itself: model.frame() evaluates what it is given in the data.
  frame_call <- as.call(c(
    quote(stats::model.frame.default), arguments[!vapply(arguments, is.null, NA)]
  ))
  frame <- tryCatch(
    eval(frame_call, environment(frame_terms)),
    error = function(e) {
      if (inherits(e, "partialpool_error")) {
        rlang::cnd_signal(e)
      }
      abort_model_frame(e, frame_terms, data)
    }
  )
  if (nrow(frame) == 0L) {
    abort_no_rows(frame_terms, data, extras)
  }
  frame
}

# The standard actions do nothing to a frame without missing values: looking is cheaper.
quick_na_action <- function(action) {
  standard <- list(stats::na.omit, stats::na.exclude, stats::na.fail, stats::na.pass)
  if (!any(vapply(standard, identical, NA, action))) {
    return(action)
  }
  function(object, ...) {
    incomplete <- vapply(object, anyNA, NA)
    if (!any(incomplete)) {
      return(object)
    }
    if (identical(action, stats::na.fail)) {
      columns <- names(object)[incomplete]
      pp_abort("missing", c(
        x = "There are missing values in object {.var {columns}}.",
        i = "{.code na.action = na.fail} does not allow any."
      ))
    }
    action(object)
  }
}

drop_frame_levels <- function(frame) {
  for (i in which(vapply(frame, has_unused_levels, NA))) {
    frame[[i]] <- drop_unused_levels(frame[[i]], names(frame)[i])
  }
  frame
}

# Character variables among `names` as factors: what model.matrix() would do, slower.
factorise <- function(frame, names) {
  for (name in names) {
    if (is.character(.subset2(frame, name))) {
      coded <- code_characters(frame[[name]])
      frame[[name]] <- structure(coded$codes, levels = coded$levels, class = "factor")
    }
  }
  frame
}

# Names of the variables of a terms object, as the model frame's columns are called.
variable_names <- function(terms) {
  vapply(as.list(attr(terms, "variables"))[-1L], label_of, "")
}

# A terms object of some variables of a model frame with what safe prediction needs: the frame's
# predvars (the knots of a spline, the coefficients of poly()) and classes of these variables.
prediction_terms <- function(terms, frame) {
  frame_terms <- attr(frame, "terms")
  names <- variable_names(terms)
  at <- match(names, variable_names(frame_terms))
  predvars <- as.list(attr(frame_terms, "predvars"))[-1L]
  attr(terms, "predvars") <- as.call(c(quote(list), predvars[at]))
  attr(terms, "dataClasses") <- attr(frame_terms, "dataClasses")[names]
  terms
}
