# insight: the data of a fit, and rows made from them.

# The rows fitted, with the variables as they were before any transformation in the formula. What
# the fit stores is taken first. Only variables inside of functions, as x of poly(x, 2), have to be
# looked up in the data of the call, and are believed only if they give the stored frame again.
get_data.pp_fit <- function(x, effects = "all", component = "all", source = "environment",
                            additional_variables = NULL, verbose = TRUE, ...) {
  if (feeds_bootstrap(parent.frame())) {
    return(redrawn_data(x))
  }
  effects <- choose_option(effects, c("all", "fixed", "random"), "effects")
  names <- data_variables(x, effects, component)
  more <- if (is.character(additional_variables)) additional_variables
  stored <- names[vapply(names, function(name) is_stored(x, name), NA)]
  raw <- NULL
  if (length(setdiff(c(names, more), stored)) || isTRUE(additional_variables)) {
    raw <- rows_of_call_data(x)
  }
  lost <- setdiff(names, stored)
  source <- if (is.null(raw)) inverted_columns(x$frame, lost) else raw
  wanted <- if (isTRUE(additional_variables)) names(source) else c(lost, more)
  wanted <- setdiff(intersect(wanted, names(source)), stored)
  data <- x$frame[stored]
  attr(data, "terms") <- NULL
  data[wanted] <- source[wanted]
  data <- data[unique(c(intersect(names, names(data)), names(data)))]
  if (isTRUE(verbose)) warn_lost_variables(setdiff(lost, names(data)))
  if (effects != "random") data <- with_call_variables(data, x)
  data
}

# Whether `frame` is that of a bootstrap of the performance package, of icc(), r2_nakagawa() or
# performance_rmse(): parametric for fits of lme4, of single rows for those of classes it does not
# know, or where `ci_method = "boot"` asks for that.
feeds_bootstrap <- function(frame) {
  environmentName(topenv(frame)) == "performance" && !"ci" %in% names(frame) &&
    all(c("model", "iterations") %in% names(frame)) && !identical(frame$ci_method, "boot")
}

# Made of matrices.
get_data.pp_kernel_fit <- function(x, ...) NULL

get_response.pp_kernel_fit <- function(x, ...) x$y

data_variables <- function(fit, effects, component) {
  if (effects == "random") {
    return(insight::find_random(fit, split_nested = TRUE, flatten = TRUE))
  }
  names <- insight::find_variables(fit,
    effects = effects, component = component, flatten = TRUE, verbose = FALSE
  )
  response <- insight::find_response(fit, combine = FALSE)
  unique(if (component %in% c("all", "conditional")) c(response, names) else c(names, response))
}

is_stored <- function(fit, name) name %in% names(fit$frame) && !is.matrix(fit$frame[[name]])

# Variables that stand inside of functions in the columns of a frame, where these can be undone.
inverted_columns <- function(frame, names) {
  found <- list()
  for (column in names(frame)) {
    expression <- tryCatch(str2lang(column), error = function(e) NULL)
    if (is.call(expression)) found <- c(found, undone(expression, frame[[column]]))
  }
  as.data.frame(found[names(found) %in% names], check.names = FALSE, row.names = row.names(frame))
}

# f(x) -> x; cbind(a, n - a) -> a, n.
undone <- function(expression, value) {
  f <- label_of(expression[[1L]])
  arguments <- as.list(expression)[-1L]
  if (f == "cbind" && is.matrix(value) && ncol(value) == 2L && length(arguments) == 2L) {
    return(undone_counts(arguments, value))
  }
  if (length(arguments) != 1L || !is.symbol(arguments[[1L]])) {
    return(NULL)
  }
  x <- switch(f,
    log = exp(value), log2 = 2^value, log10 = 10^value, log1p = expm1(value), exp = log(value),
    sqrt = value^2, I = , factor = , as.factor = , ordered = , as.numeric = unclass_asis(value),
    scale = undone_scale(value)
  )
  if (!is.null(x)) stats::setNames(list(x), as.character(arguments[[1L]]))
}

unclass_asis <- function(x) structure(x, class = setdiff(oldClass(x), "AsIs"))

undone_scale <- function(x) {
  by <- attr(x, "scaled:scale")
  center <- attr(x, "scaled:center")
  as.vector(x) * (if (is.null(by)) 1 else by) + (if (is.null(center)) 0 else center)
}

undone_counts <- function(arguments, value) {
  first <- arguments[[1L]]
  second <- arguments[[2L]]
  if (!is.symbol(first)) {
    return(NULL)
  }
  known <- stats::setNames(list(value[, 1L]), as.character(first))
  if (is.symbol(second)) {
    known[[as.character(second)]] <- value[, 2L]
  } else if (identical(second[[1L]], quote(`-`)) && length(second) == 3L &&
             is.symbol(second[[2L]]) && identical(second[[3L]], first)) {
    known[[as.character(second[[2L]])]] <- value[, 1L] + value[, 2L]
  }
  known
}

warn_lost_variables <- function(lost) {
  if (length(lost)) {
    pp_warn("variable", c(
      "!" = "The values of {.var {lost}} are not known any more.",
      i = "The fit stores what they were turned into, and its data are gone or have changed."
    ))
  }
}

# Weights and offset that the call has: a variable as it was used, variables of an expression from
# the data.
with_call_variables <- function(data, fit) {
  for (what in c("weights", "offset")) {
    expression <- fit$call[[what]]
    column <- fit$frame[[sprintf("(%s)", what)]]
    lost <- setdiff(all.vars(expression), names(data))
    if (is.symbol(expression) && !is.null(column)) {
      data[lost] <- list(column)
    } else if (length(lost)) {
      raw <- rows_of_call_data(fit)
      data[intersect(lost, names(raw))] <- raw[intersect(lost, names(raw))]
    }
  }
  data
}

# Columns that were dropped stay dropped, and splines and factors are those of the fit.
get_modelmatrix.pp_fit <- function(x, data = NULL, ...) {
  if (is.null(data)) stats::model.matrix(x) else insight_matrix(x, data)
}

get_modelmatrix.pp_kernel_fit <- function(x, data = NULL, ...) stats::model.matrix(x)

# As for lme4 a grouping factor that is not asked for is 0 in the grid: no level, for which
# predictions are those of the population.
get_datagrid.pp_fit <- function(x, ...) {
  method <- utils::getS3method("get_datagrid", "default", envir = asNamespace("insight"))
  grid <- method(known_to_insight(x), ...)
  if (!isTRUE(list(...)$include_random)) {
    groups <- insight::find_random(x, split_nested = TRUE, flatten = TRUE)
    grid[setdiff(groups, names(grid))] <- 0
  }
  attr(grid, "model") <- x
  grid
}

# Some functions of insight turn down what is not of a class they list. Of those listed this one has
# no methods anywhere: at the end of the classes it changes nothing but that.
known_to_insight <- function(fit) {
  structure(fit, class = c(class(fit), "yuend"))
}

# Fits to be compared, as compare_performance() and test_performance() gather them.
ellipsis_info.pp_fit <- function(objects, ..., only_models = TRUE, verbose = TRUE) {
  # All of a named list may come by do.call(), so that none is called `objects`.
  fits <- if (missing(objects)) list(...) else list(objects, ...)
  if (length(fits) == 1L) {
    return(known_to_insight(fits[[1L]]))
  }
  if (is.null(names(fits)) || !all(nzchar(names(fits)))) {
    call <- match.call(expand.dots = FALSE)
    names(fits) <- labels_of_fits(c(list(call$objects), call$...), length(fits))
  }
  fits <- lapply(fits, function(fit) if (inherits(fit, "pp_fit")) known_to_insight(fit) else fit)
  models <- vapply(fits, insight::is_model, NA)
  if (only_models && !all(models)) {
    if (isTRUE(verbose)) {
      lost <- names(fits)[!models]
      pp_warn("argument", c("!" = "Not {cli::qty(lost)}{?a fit/fits}, left out: {.code {lost}}."))
    }
    fits <- fits[models]
  }
  kind <- if (all(models) || only_models) "ListModels" else "ListObjects"
  insight::ellipsis_info(structure(fits, class = c(kind, "list")), verbose = verbose)
}

# As written, or by number.
labels_of_fits <- function(expressions, n) {
  given <- vapply(expressions, function(e) if (is.language(e)) label_of(e) else "", "")
  if (length(given) == n && all(nzchar(given))) given else paste0("model", seq_len(n))
}

# Draws of the response: of new groups, as simulate() has it, or with `use.u` of the groups seen.
get_simulated.pp_fit <- function(x, data = NULL, iterations = 1, seed = NULL, ...) {
  arguments <- list(x, nsim = iterations, seed = seed)
  if (!is.null(data)) arguments$newdata <- data
  draws <- do.call(stats::simulate, c(arguments, list(...)))
  names(draws) <- paste0("iter_", seq_len(iterations))
  draws
}

find_transformation.pp_fit <- function(x, include_all = FALSE, ...) {
  terms <- insight::find_terms(x, verbose = FALSE)
  if (!include_all) {
    return(insight::find_transformation(terms[["response"]]))
  }
  lapply(terms, function(labels) {
    values <- unlist(lapply(labels, insight::find_transformation), use.names = FALSE)
    stats::setNames(values, insight::clean_names(labels))
  })
}
