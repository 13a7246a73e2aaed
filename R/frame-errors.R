# Why a model frame could not be made, found by looking at the variables one by one: the reasons
# that R gives come in the language of the session.

abort_model_frame <- function(e, frame_terms, data) {
  reason <- conditionMessage(e)
  env <- environment(frame_terms)
  abort_missing_variables(frame_terms, data, env)
  abort_broken_variables(frame_terms, data, env)
  pp_abort("data", c(x = "The variables of the formula do not make a data frame.", i = "{reason}"))
}

abort_missing_variables <- function(frame_terms, data, env) {
  used <- all.vars(attr(frame_terms, "variables"))
  known <- if (is.environment(data)) ls(data) else names(data)
  absent <- used[!used %in% known & !vapply(used, exists, NA, envir = env)]
  if (!length(absent)) {
    return(invisible())
  }
  pp_abort("variable", c(
    x = "object {.var {absent}} not found.",
    i = if (length(known)) {
      "{.arg data} has no such column, and there is none where the formula was made."
    } else {
      "There is no {.arg data}, and no such variable where the formula was made."
    },
    suggest_name(absent[1L], known)
  ), variables = absent)
}

abort_broken_variables <- function(frame_terms, data, env) {
  variables <- as.list(attr(frame_terms, "variables"))[-1L]
  n <- if (is.data.frame(data)) nrow(data)
  for (variable in variables) {
    label <- label_of(variable)
    value <- tryCatch(eval(variable, data, env), error = function(e) {
      reason <- conditionMessage(e)
      pp_abort("variable", c(x = "{.code {label}} cannot be evaluated.", i = "{reason}"))
    })
    if (!is.atomic(value)) {
      pp_abort("variable", c(
        x = "{.code {label}} must be a vector, a factor or a matrix.",
        i = "It is {.obj_type_friendly {value}}."
      ))
    }
    if (is.null(n)) {
      n <- NROW(value)
      first <- label
    }
    if (NROW(value) != n) {
      other <- if (is.data.frame(data)) "`data`" else paste0("`", first, "`")
      pp_abort("variable", c(
        x = "Variable lengths differ: {.code {label}} has {NROW(value)} value{?s}, {other} {n}."
      ))
    }
  }
}

# Nothing left: empty data, a subset of nothing, or a variable that is missing everywhere.
abort_no_rows <- function(frame_terms, data, extras) {
  variables <- as.list(attr(frame_terms, "variables"))[-1L]
  values <- lapply(variables, function(v) {
    tryCatch(eval(v, data, environment(frame_terms)), error = function(e) NULL)
  })
  all_missing <- vapply(values, function(x) length(x) > 0L && all(is.na(x)), NA)
  labels <- vapply(variables[all_missing], label_of, "")
  reason <- if (any(all_missing)) {
    "All values of {.var {labels}} are missing."
  } else if (is.data.frame(data) && nrow(data) == 0L) {
    "{.arg data} has no rows."
  } else if (!is.null(extras$subset) && !any(extras$subset %in% TRUE | is.numeric(extras$subset))) {
    "{.arg subset} selects no row."
  } else {
    "Every row has a missing value in some variable, or is left out by {.arg subset}."
  }
  pp_abort("data", c(x = "There are 0 (non-NA) cases.", i = reason))
}
