# The design of new rows under a fit: what predict() multiplies the estimates with.

# For the m rows of `newdata`: list of
#   X          m x p, the columns that the fit kept
#   offset     numeric m, or NULL
#   use        logical, one a random term of the fit: does re.form ask for it?
#   codes      list, one a term: integer m; 0 for a new level or missing group, and throughout for
#              a term out of use; above the number of levels for one that only the kernel knows
#   z          list, one a term: m x p_t, or NULL for an intercept alone. In a term in use, columns
#              that re.form leaves out are 0; out of use, NA where newdata has not the variables
#   na.action  rows that na.action dropped, or NULL
#   names      row names, character m
# re.form: NULL for all random terms, NA or ~0 for none, else a one-sided formula of some of them.
design_newdata <- function(fit, newdata, re.form = NULL, allow.new.levels = FALSE,
                           na.action = stats::na.pass) {
  newdata <- check_newdata(newdata)
  check_flag(allow.new.levels, "allow.new.levels")
  wanted <- wanted_columns(fit, re.form)
  use <- lengths(wanted) > 0L
  terms <- stats::delete.response(fit$terms)
  check_newdata_variables(fit, newdata, terms, use)
  if (!nrow(newdata)) {
    return(empty_newdata(fit, use))
  }

  frame <- newdata_frame(terms, newdata, fit$xlevels)
  z <- Map(newdata_columns, fit$random, wanted, MoreArgs = list(newdata = newdata))
  omitted <- omitted_rows(c(list(frame), z[use]), na.action, newdata)
  if (length(omitted)) {
    newdata <- newdata[-omitted, , drop = FALSE]
    frame <- frame[-omitted, , drop = FALSE]
    z <- lapply(z, function(columns) columns[-omitted, , drop = FALSE])
  }
  X <- newdata_matrix(terms, frame, fit$contrasts)
  list(
    X = X[, kept_columns(fit, colnames(X)), drop = FALSE],
    offset = newdata_offset(fit, frame, newdata),
    use = use,
    codes = Map(function(term, used) {
      if (used) newdata_codes(term, newdata, allow.new.levels) else integer(nrow(newdata))
    }, fit$random, use),
    z = z, na.action = omitted, names = row.names(newdata)
  )
}

# Of the columns of new rows those that the fit kept. A fit of a matrix has names without backticks.
kept_columns <- function(fit, columns) {
  if (!is.null(fit$features)) columns <- c("(Intercept)", fit$features)
  match(colnames(fit$X), columns)
}

# No rows: some functions, splines::ns() among them, cannot be evaluated at no value.
empty_newdata <- function(fit, use) {
  none <- lapply(fit$random, function(term) integer())
  list(
    X = fit$X[0L, , drop = FALSE], offset = if (!is.null(fit$offset)) numeric(), use = use,
    codes = none, z = lapply(fit$random, function(term) term$z[0L, , drop = FALSE]),
    na.action = NULL, names = character()
  )
}

check_newdata <- function(newdata) {
  if (is.matrix(newdata) && !is.null(colnames(newdata)) || is.list(newdata)) {
    return(if (is.data.frame(newdata)) newdata else as.data.frame(newdata, optional = TRUE))
  }
  pp_abort("newdata", c(
    x = "{.arg newdata} must be a data frame.", i = "It is {.obj_type_friendly {newdata}}."
  ))
}

# Which random terms ----------------------------------------------------------------------------

# For each random term of the fit the names of its columns that `re.form` asks for.
wanted_columns <- function(fit, re.form) {
  none <- rep(list(character()), length(fit$random))
  if (is.null(re.form)) {
    return(lapply(fit$random, `[[`, "columns"))
  }
  if (length(re.form) == 1L && is.atomic(re.form) && is.na(re.form)) {
    return(none)
  }
  if (!inherits(re.form, "formula") || length(re.form) != 2L) {
    pp_abort("argument", c(
      x = "{.arg re.form} must be {.code NULL}, {.code NA}, {.code ~0} or a one-sided formula.",
      i = "Such as {.code ~(1 | g)}; it is {.obj_type_friendly {re.form}}."
    ))
  }
  split <- split_formula(re.form, need_response = FALSE)
  if (!is.numeric(split$fixed)) {
    pp_abort("argument", c(
      x = "{.arg re.form} chooses random-effects terms only.",
      i = "{.code {label_of(split$fixed)}} is not one.",
      i = "The fixed effects are always part of a prediction."
    ))
  }
  Reduce(function(wanted, bar) add_wanted(wanted, bar, fit), split$bars, none)
}

add_wanted <- function(wanted, bar, fit) {
  group <- label_of(bar$group)
  groups <- vapply(fit$random, `[[`, "", "group")
  at <- which(groups == group)
  columns <- if (length(at)) bar_columns(bar, fit, fit$random[[at[1L]]])
  known <- unlist(lapply(fit$random[at], `[[`, "columns"))
  unknown <- setdiff(columns, known)
  if (!length(at) || length(unknown)) {
    terms <- vapply(fit$random, function(term) label_of(term$expr), "")
    pp_abort("argument", c(
      x = "{.arg re.form} has a term that the fit has not: {.code {label_of(bar$expr)}}.",
      i = if (length(at)) "The fit has no random effect {.code {unknown}} of {.var {group}}.",
      i = if (length(terms)) "The random-effects terms of the fit are {.code {terms}}."
          else "The fit has no random-effects terms."
    ))
  }
  for (k in at) {
    wanted[[k]] <- union(wanted[[k]], intersect(fit$random[[k]]$columns, columns))
  }
  wanted
}

# Names of the columns that a bar term would have in the fit's own frame.
bar_columns <- function(bar, fit, like) {
  if (identical(bar$lhs, like$expr[[2L]])) {
    return(like$columns)
  }
  absent <- setdiff(all.vars(bar$lhs), all.vars(attr(attr(fit$frame, "terms"), "variables")))
  if (length(absent)) {
    return(label_of(bar$lhs))
  }
  terms <- stats::terms(make_formula(bar$lhs, env = environment(fit$terms)))
  if (!length(attr(terms, "term.labels"))) {
    return(if (attr(terms, "intercept")) "(Intercept)" else character())
  }
  names <- variable_names(terms)
  if (!all(names %in% names(fit$frame))) {
    return(label_of(bar$lhs))
  }
  frame <- factorise(fit$frame, names)[1L, , drop = FALSE]
  colnames(model_matrix(terms, structure(frame, terms = terms)))
}

# Variables -------------------------------------------------------------------------------------

check_newdata_variables <- function(fit, newdata, terms, use) {
  groups <- lapply(fit$random[use], `[[`, "group_expr")
  slopes <- lapply(fit$random[use], function(term) attr(term$z_terms, "variables"))
  needed <- unique(unlist(lapply(c(list(attr(terms, "variables")), slopes, groups), all.vars)))
  env <- environment(fit$terms)
  n <- nrow(fit$frame)
  # What is not a column may be a constant, such as pi or a vector of knots.
  constant <- vapply(needed, function(v) exists(v, envir = env) && NROW(get(v, env)) != n, NA)
  absent <- needed[!needed %in% names(newdata) & !constant]
  if (length(absent)) {
    pp_abort("newdata", c(
      x = "{.arg newdata} has no {cli::qty(absent)}variable{?s} {.var {absent}}.",
      i = "The model needs {cli::qty(absent)}{?it/them}.",
      suggest_name(absent[1L], names(newdata))
    ), variables = absent)
  }
}

# Model frame of the variables of `terms`, factors with the levels of the fit.
newdata_frame <- function(terms, newdata, xlevels) {
  frame <- tryCatch(
    stats::model.frame.default(terms, newdata, na.action = stats::na.pass),
    error = function(e) {
      reason <- conditionMessage(e)
      pp_abort("newdata", c(x = "The variables cannot be evaluated in {.arg newdata}.", i = reason))
    }
  )
  if (!length(frame)) {
    frame <- structure(newdata[integer()], terms = terms)
  }
  if (nrow(frame) != nrow(newdata)) {
    pp_abort("newdata", c(
      x = "The variables give {nrow(frame)} row{?s}, {.arg newdata} has {nrow(newdata)}.",
      i = "A variable that {.arg newdata} lacks was found elsewhere."
    ))
  }
  for (name in names(xlevels)) {
    frame[[name]] <- refactor(frame[[name]], xlevels[[name]], name)
  }
  check_classes(frame, terms)
  frame
}

refactor <- function(x, levels, name) {
  text <- as.character(x)
  codes <- match(text, levels)
  fresh <- unique(text[is.na(codes) & !is.na(text)])
  if (length(fresh)) {
    pp_abort("newdata", c(
      x = "Factor {.var {name}} of {.arg newdata} has new levels: {.val {fresh}}.",
      i = "The fit has coefficients for the levels {.val {levels}}."
    ), variable = name, levels = fresh)
  }
  ordered <- if (is.ordered(x)) "ordered"
  structure(codes, levels = levels, class = c(ordered, "factor"))
}

# Classes must be those of the fit: a number where a factor was has no meaning in the model.
check_classes <- function(frame, terms) {
  then <- attr(terms, "dataClasses")
  for (name in intersect(names(then), names(frame))) {
    now <- stats::.MFclass(frame[[name]])
    factors <- c("factor", "ordered", "character")
    alike <- now == then[[name]] || now %in% factors && then[[name]] %in% factors ||
      now %in% c("numeric", "logical") && then[[name]] == "numeric" ||
      now == "logical" && all(is.na(frame[[name]]))
    if (!alike) {
      was <- then[[name]]
      pp_abort("newdata", c(
        x = "Variable {.var {name}} of {.arg newdata} has another type than in the fit.",
        i = "It was {.val {was}} and is {.val {now}}."
      ), variable = name)
    }
  }
}

newdata_matrix <- function(terms, frame, contrasts) {
  contrasts <- contrasts[names(contrasts) %in% variable_names(terms)]
  stats::model.matrix.default(terms, frame, contrasts.arg = if (length(contrasts)) contrasts)
}

# The rows that na.action drops for missing values in the fixed effects or the columns of random
# terms; a missing group is no reason to drop a row.
omitted_rows <- function(parts, na.action, newdata) {
  parts <- Filter(function(part) !is.null(part) && ncol(part) > 0L, parts)
  if (is.null(na.action) || identical(na.action, stats::na.pass) || !length(parts)) {
    return(NULL)
  }
  whole <- do.call(cbind, lapply(parts, as.data.frame))
  acted <- tryCatch(match.fun(na.action)(whole), error = function(e) {
    reason <- conditionMessage(e)
    pp_abort("missing", c(x = "{.arg newdata} has missing values.", i = "{reason}"))
  })
  attr(acted, "na.action")
}

# Offset: the offset() terms of the formula in newdata, and the argument `offset` of the fit.
newdata_offset <- function(fit, frame, newdata) {
  offset <- stats::model.offset(frame)
  if (is.null(fit$frame[["(offset)"]])) {
    return(as_plain_vector(offset))
  }
  argument <- fit$call$offset
  constant <- is.numeric(argument) && length(argument) == 1L
  named <- is.language(argument) && all(all.vars(argument) %in% names(newdata))
  if (!constant && !named) {
    pp_abort("newdata", c(
      x = "The fit has an {.arg offset} argument that {.arg newdata} does not give.",
      i = "A prediction without it would not be on the scale of the response.",
      ">" = "Add the variables of {.code {label_of(argument)}} to {.arg newdata}.",
      ">" = "Or fit with {.fn offset} in the formula."
    ))
  }
  value <- rep_len(eval(argument, newdata, environment(fit$terms)), nrow(newdata))
  as.numeric(value) + if (is.null(offset)) 0 else offset
}

# Groups and columns ----------------------------------------------------------------------------

newdata_codes <- function(term, newdata, allow.new.levels) {
  coded <- newdata_group(term, newdata)
  level_codes <- match_levels(coded$levels, term$levels, coded$numeric)
  level_codes <- kernel_codes(term, level_codes, coded$levels, coded$numeric)
  if (!allow.new.levels) {
    abort_missing_group(term, coded$codes, newdata)
    abort_new_levels(term, coded$levels[is.na(level_codes)])
  }
  codes <- take_codes(level_codes, coded$codes)
  codes[is.na(codes)] <- 0L
  codes
}

# The grouping factor of a term in new data, with levels of its own.
evaluate_group <- function(term, newdata) {
  coded <- newdata_group(term, newdata)
  structure(coded$codes, levels = coded$levels, class = "factor")
}

newdata_group <- function(term, newdata) {
  parts <- interaction_parts(term$group_expr)
  values <- lapply(parts, function(part) {
    value <- tryCatch(eval(part, newdata, environment(term$z_terms)), error = function(e) {
      reason <- conditionMessage(e)
      pp_abort("newdata", c(
        x = "The grouping factor {.var {term$group}} cannot be evaluated in {.arg newdata}.",
        i = "{reason}"
      ))
    })
    if (NROW(value) == 1L) rep_len(value, nrow(newdata)) else value
  })
  names(values) <- vapply(parts, label_of, "")
  numeric <- length(values) == 1L && is.numeric(values[[1L]]) && !is.object(values[[1L]])
  c(code_group(term$group_expr, values), numeric = numeric)
}

# A number can be written in two ways: a level "1e+05" was 100000 as double, and is "100000" as
# integer.
match_levels <- function(new, old, numeric) {
  codes <- match(new, old)
  lost <- is.na(codes)
  if (numeric && any(lost)) {
    number <- as.numeric(new[lost])
    short <- match(as.character(number), old)
    codes[lost] <- ifelse(is.na(short), match(sprintf("%.0f", number), old), short)
  }
  codes
}

abort_missing_group <- function(term, codes, newdata) {
  missing <- which(is.na(codes))
  if (length(missing)) {
    where <- describe_rows(row.names(newdata)[missing])
    pp_abort("newdata", c(
      x = "The grouping factor {.var {term$group}} is missing (NA) in {where} of {.arg newdata}.",
      ">" = "{.code allow.new.levels = TRUE} predicts such rows with the mean over all groups."
    ), rows = missing)
  }
}

abort_new_levels <- function(term, fresh) {
  if (length(fresh)) {
    pp_abort("newdata", c(
      x = "There are new levels detected in newdata: {.val {fresh}} of {.var {term$group}}.",
      i = "The fit has no random effects for them.",
      ">" = "{.code allow.new.levels = TRUE} predicts them with the mean over all groups."
    ), group = term$group, levels = fresh)
  }
}

# z of a term, columns that are not wanted 0.
newdata_columns <- function(term, wanted, newdata) {
  if (is.null(term$z)) {
    return(NULL)
  }
  absent <- setdiff(all.vars(attr(term$z_terms, "variables")), names(newdata))
  env <- environment(term$z_terms)
  if (!length(wanted) && !all(vapply(absent, exists, NA, envir = env))) {
    return(matrix(NA_real_, nrow(newdata), length(term$columns)))
  }
  frame <- newdata_frame(term$z_terms, newdata, term$z_xlevels)
  # Of the columns that the term has as written the fit may have dropped dependent ones.
  z <- newdata_matrix(term$z_terms, frame, term$z_contrasts)[, term$columns, drop = FALSE]
  rownames(z) <- NULL
  if (length(wanted)) {
    z[, !term$columns %in% wanted] <- 0
  }
  z
}
