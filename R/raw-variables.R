# Variables as they were before the functions of a formula: x of log(x), poly(x, 2) or factor(x).

# Those of the rows of the frame that it holds only inside of functions: a data frame, or NULL if
# there are none. What is not a value per row, such as the knots of a spline, is none of them.
inner_variables <- function(frame_terms, frame, data, subset) {
  variables <- as.list(attr(frame_terms, "variables"))[-1L]
  names <- unlist(lapply(Filter(is.call, variables), all.vars))
  names <- setdiff(unique(names), names(frame))
  if (!length(names)) {
    return(NULL)
  }
  env <- environment(frame_terms)
  columns <- lapply(stats::setNames(nm = names), function(name) {
    tryCatch(inner_variable(name, data, env, subset, attr(frame, "na.action")),
      error = function(e) NULL
    )
  })
  columns <- Filter(function(x) NROW(x) == nrow(frame), columns)
  if (length(columns)) structure(columns, class = "data.frame", row.names = row.names(frame))
}

inner_variable <- function(name, data, env, subset, dropped) {
  arguments <- list(formula = make_formula(as.name(name), env = env), data = data, subset = subset,
                    na.action = stats::na.pass)
  call <- as.call(c(
    quote(stats::model.frame.default), arguments[!vapply(arguments, is.null, NA)]
  ))
  x <- eval(call, env)[[1L]]
  if (length(dropped)) x <- if (is.matrix(x)) x[-dropped, , drop = FALSE] else x[-dropped]
  if (has_unused_levels(x)) drop_unused_levels(x, name) else x
}

# All variables of the rows fitted: the columns of the model frame and those inside of its
# functions, if they are still the ones that it was made of.
raw_variables <- function(fit) {
  frame <- fit$frame
  attr(frame, "terms") <- NULL
  inner <- fit$inner
  if (is.null(inner) || nrow(inner) != nrow(frame)) {
    return(frame)
  }
  all <- frame
  all[names(inner)] <- as.list(inner)
  terms <- attr(fit$frame, "terms")
  again <- tryCatch(
    stats::model.frame.default(terms, all, na.action = stats::na.pass), error = function(e) NULL
  )
  same <- vapply(variable_names(terms), function(name) {
    same_values(again[[name]], frame[[name]])
  }, NA)
  if (all(same)) all else frame
}

# The rows fitted of the data frame that the call names, with variables that the model does not
# have; NULL if it is gone or has changed.
rows_of_call_data <- function(fit) {
  env <- environment(fit$formula)
  data <- tryCatch(evaluate_data(fit$call$data, env), error = function(e) NULL)
  if (!is.data.frame(data)) {
    return(NULL)
  }
  at <- match(row.names(fit$frame), row.names(data))
  if (anyNA(at)) {
    return(NULL)
  }
  data <- data[at, , drop = FALSE]
  terms <- attr(fit$frame, "terms")
  again <- tryCatch(
    stats::model.frame(terms, data, na.action = stats::na.pass), error = function(e) NULL
  )
  columns <- intersect(names(again), names(fit$frame))
  same <- !is.null(again) && all(variable_names(terms) %in% columns) &&
    all(vapply(columns, function(name) same_values(again[[name]], fit$frame[[name]]), NA))
  if (same) data
}

same_values <- function(a, b) {
  plain <- function(x) if (is.numeric(x)) as.numeric(x) else as.character(x)
  identical(dim(a), dim(b)) && isTRUE(all.equal(plain(a), plain(b)))
}
