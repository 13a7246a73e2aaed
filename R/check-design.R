# Checks of what comes in: each names the variable, says why it will not do and what to do.

# Of the arguments ------------------------------------------------------------------------------

check_weights_argument <- function(weights, n) {
  if (is.null(weights)) {
    return(NULL)
  }
  if (!is.numeric(weights) || (!is.null(dim(weights)) && NCOL(weights) > 1L)) {
    pp_abort("weights", c(
      x = "{.arg weights} must be a numeric vector.",
      i = "It is {.obj_type_friendly {weights}}."
    ))
  }
  check_length(weights, n, "weights")
  as.numeric(weights)
}

check_offset_argument <- function(offset, n) {
  if (is.null(offset)) {
    return(NULL)
  }
  if (!is.numeric(offset) || (!is.null(dim(offset)) && NCOL(offset) > 1L)) {
    pp_abort("offset", c(
      x = "{.arg offset} must be a numeric vector.",
      i = "It is {.obj_type_friendly {offset}}."
    ))
  }
  if (length(offset) == 1L && !is.null(n)) {
    offset <- rep_len(offset, n)
  }
  check_length(offset, n, "offset")
  as.numeric(offset)
}

check_length <- function(x, n, what) {
  if (!is.null(n) && length(x) != n) {
    pp_abort(what, c(
      x = "Variable lengths differ: {.arg {what}} has {length(x)} value{?s}, the data {n} row{?s}.",
      ">" = "Give one value a row, in the order of the rows."
    ))
  }
}

check_subset <- function(subset) {
  if (is.null(subset) || is.logical(subset) || is.numeric(subset) || is.character(subset)) {
    return(subset)
  }
  pp_abort("argument", c(
    x = "{.arg subset} must be logical, row numbers or row names.",
    i = "It is {.obj_type_friendly {subset}}."
  ))
}

# Of the frame ----------------------------------------------------------------------------------

# The response as a plain numeric vector.
check_response <- function(y, label) {
  if (NCOL(y) > 1L) {
    pp_abort("response", c(
      x = "The response {.code {label}} must be a single column.",
      i = "It is a matrix of {NCOL(y)} columns.",
      ">" = "Fit each column by {.fn lmm_responses} or {.fn glmm_responses}, or stack them with a
             factor that tells them apart."
    ))
  }
  if (!is.numeric(y) && !is.logical(y)) {
    pp_abort("response", c(
      x = "The response {.code {label}} must be numeric.",
      i = "It is {.obj_type_friendly {y}}."
    ))
  }
  as.numeric(y)
}

check_offset_terms <- function(frame) {
  for (name in names(frame)[attr(attr(frame, "terms"), "offset")]) {
    if (!is.numeric(frame[[name]])) {
      pp_abort("offset", c(
        x = "{.code {name}} must be numeric.", i = "It is {.obj_type_friendly {frame[[name]]}}."
      ))
    }
  }
}

# Missing (let through by na.action) and infinite values, by variable.
check_frame_values <- function(frame, split) {
  suspect <- vapply(frame, function(x) length(bad_rows(x)) > 0L, NA)
  if (!any(suspect)) {
    return(invisible())
  }
  slopes <- unlist(lapply(split$bars, function(bar) all_labels(bar$lhs)))
  groups <- unlist(lapply(split$bars, function(bar) {
    vapply(interaction_parts(bar$group), label_of, "")
  }))
  fixed <- c(label_of(split$response), all_labels(split$fixed))
  for (name in names(frame)[suspect]) {
    only_group <- name %in% groups && !name %in% c(slopes, fixed)
    bad <- bad_rows(frame[[name]], allow_infinite = only_group)
    if (length(bad)) {
      abort_bad_values(name, value_role(name, split, slopes, fixed, only_group), frame, bad)
    }
  }
}

bad_rows <- function(x, allow_infinite = FALSE) {
  if (typeof(x) == "double" && !allow_infinite) {
    x <- unclass(x)
    # One sum tells that all is well; it may also overflow, so that a look follows.
    if (is.finite(sum(x))) {
      return(integer())
    }
    bad <- !is.finite(x)
  } else {
    if (!anyNA(x)) {
      return(integer())
    }
    bad <- is.na(x)
  }
  which(if (is.matrix(bad)) rowSums(bad) > 0 else bad)
}

# What a variable of the frame is in the model: topic and words for its condition.
value_role <- function(name, split, slopes, fixed, only_group) {
  if (name == label_of(split$response)) {
    return(list(topic = "response", text = paste0("the response `", name, "`")))
  }
  if (name %in% c("(weights)", "(offset)")) {
    what <- gsub("[()]", "", name)
    return(list(topic = what, text = paste0("`", what, "`")))
  }
  if (startsWith(name, "offset(")) {
    return(list(topic = "offset", text = paste0("`", name, "`")))
  }
  if (only_group) {
    return(list(topic = "group", text = paste0("the grouping variable `", name, "`")))
  }
  text <- paste0("the variable `", name, "`")
  if (name %in% slopes && !name %in% fixed) {
    uses <- Filter(function(bar) name %in% all_labels(bar$lhs), split$bars)
    text <- paste0(text, " of the random-effects term `", label_of(uses[[1L]]$expr), "`")
  }
  list(topic = "variable", text = text)
}

abort_bad_values <- function(name, role, frame, bad) {
  x <- frame[[name]]
  if (is.matrix(x)) x <- x[bad, , drop = FALSE]
  missing <- anyNA(if (is.matrix(x)) x else x[bad])
  what <- if (missing) "a missing value (NA/NaN)" else "an infinite value (Inf)"
  where <- describe_rows(row.names(frame)[bad])
  hint <- if (missing) {
    "Use {.code na.action = na.omit} to leave such rows out."
  } else {
    "Correct the value, or leave the row out with {.arg subset}."
  }
  pp_abort(role$topic, c(
    x = "There is {what} in {role$text}.", i = "It stands in {where}.", ">" = hint
  ), rows = bad)
}

# The labels under which the variables of an expression may stand in the frame: every call in it.
# A sum is taken apart in a loop: sums of hundreds of terms are nested as deeply.
all_labels <- function(e) {
  found <- character()
  while (is.call(e) && identical(e[[1L]], quote(`+`)) && length(e) == 3L) {
    found <- c(all_labels(e[[3L]]), found)
    e <- e[[2L]]
  }
  if (!is.call(e)) {
    return(c(label_of(e), found))
  }
  c(label_of(e), unlist(lapply(as.list(e)[-1L], all_labels)), found)
}

check_factor_levels <- function(columns, names, expr = NULL) {
  for (name in names) {
    if (nlevels(columns[[name]]) < 2L) {
      level <- levels(columns[[name]])
      where <- if (is.null(expr)) "" else paste0(" in `", label_of(expr), "`")
      pp_abort("variable", c(
        x = "Factor {.var {name}}{where} has fewer than two levels in the rows used.",
        i = "Its only level is {.val {level}}: it has no effect that could be estimated.",
        ">" = "Leave it out of the formula."
      ))
    }
  }
}

# Of the design ---------------------------------------------------------------------------------

check_design <- function(design, advise) {
  n <- length(design$y)
  limits <- group_limits(design)
  for (term in design$random) {
    check_group(term, n, design$frame, advise, limits)
  }
  if (is.null(design$family)) {
    check_constant_response(design)
  } else {
    check_constant_family_response(design, advise)
    check_constant_groups(design)
  }
  check_weight_values(design, advise)
  check_column_count(design$X)
  if (advise) {
    check_identifiability(design)
  }
}

# How fine a grouping factor may be: one level a row only where rows vary in a known way, so that
# more can be seen (counts, several trials). `reason` says why it may not be.
group_limits <- function(design) {
  if (is.null(design$family)) {
    return(list(rows = FALSE, effects = FALSE, rest = "the residual variance"))
  }
  if (traits_of(design$family)$discrete) {
    return(list(rows = !is_binary(design), effects = TRUE, rest = "the mean of a 0/1 response"))
  }
  list(rows = FALSE, effects = FALSE, rest = "the dispersion of the family")
}

check_constant_response <- function(design) {
  y <- design$y
  if (!is.null(design$offset)) {
    y <- y - design$offset
  }
  value <- y[1L]
  if (length(y) > 1L && all(utils::head(y) == value) && all(y == value)) {
    label <- label_of(design$formula[[2L]])
    less <- if (is.null(design$offset)) "" else " less the offset"
    pp_abort("response", c(
      x = "The response {.code {label}}{less} is constant.",
      i = "Every row has the value {.val {value}}: there is no variance to model."
    ))
  }
}

check_weight_values <- function(design, advise) {
  weights <- as_plain_vector(design$frame[["(weights)"]])
  if (is.null(weights)) {
    return(invisible())
  }
  negative <- which(weights < 0)
  if (length(negative)) {
    where <- describe_rows(row.names(design$frame)[negative])
    pp_abort("weights", c(
      x = "{.arg weights} must not be negative.",
      i = paste0(weight_meaning(design), "; see {where}.")
    ))
  }
  spread <- max(weights) / min(weights)
  if (advise && spread > 1e12) {
    digits <- floor(log10(spread))
    pp_warn("weights", c(
      "!" = "{.arg weights} range over {digits} decades.",
      i = "Arithmetic has 16 decimal digits: the rows of small weight count for almost nothing."
    ))
  }
}

weight_meaning <- function(design) {
  if (is.null(design$family)) {
    "The variance of a row is {.code sigma^2 / weight}"
  } else if (is.null(design$weights)) {
    "The weight of a row is its number of trials"
  } else {
    "The log-likelihood of a row is multiplied by its weight"
  }
}

# Columns may be dependent: only when there are very many is it worth finding out here.
check_column_count <- function(X) {
  n <- nrow(X)
  p <- ncol(X)
  if (p >= n && qr(X)$rank >= n) {
    pp_abort("rank", c(
      x = "There are as many fixed effects ({p} column{?s}) as rows ({n}).",
      i = "The fixed effects alone fit the response exactly and leave nothing to estimate from.",
      ">" = "Take terms out of the fixed part of the formula."
    ))
  }
}

check_group <- function(term, n, frame, advise, limits) {
  group <- term$group
  J <- length(term$levels)
  if (J < 2L) {
    pp_abort("group", c(
      x = "Grouping factors must have > 1 sampled level: {.var {group}} has {J}.",
      i = "With one group its effect cannot be told from the intercept.",
      ">" = "Leave {.code ({label_of(term$expr)})} out of the formula."
    ))
  }
  if (has_kernel(term)) {
    return(invisible()) # covariances between the levels tell them apart
  }
  if (J >= n && !limits$rows) {
    pp_abort("group", c(
      x = paste(
        "The number of levels of each grouping factor must be < number of observations:",
        "{.var {group}} has {J} levels in {n} rows."
      ),
      i = paste0("With one row a level its variance cannot be told from ", limits$rest, "."),
      ">" = "Leave {.code ({label_of(term$expr)})} out of the formula."
    ))
  }
  q <- J * length(term$columns)
  if (term$structure == "us" && (q > n || q == n && !limits$effects)) {
    pp_abort("identifiability", c(
      x = paste(
        "The number of observations ({n}) is", if (limits$effects) "<" else "<=",
        "the number of random effects ({q}) of {.code ({label_of(term$expr)})}."
      ),
      i = if (limits$effects) {
        "Their variances are probably unidentifiable: they fit every row."
      } else {
        paste("The random effects and", limits$rest, "are unidentifiable: they fit every row.")
      },
      ">" = "Use fewer columns, or uncorrelated ones: {.code ||}."
    ))
  }
  source <- if (J > n / 2 && is.symbol(term$group_expr)) frame[[group]]
  if (advise && is.double(source) && !is.object(source)) {
    pp_warn("group", c(
      "!" = "The grouping factor {.var {group}} looks like a measurement.",
      i = "It is a numeric variable of {J} different values in {n} rows.",
      ">" = "If it is meant as a predictor, it belongs left of the bar or into the fixed part."
    ))
  }
}
