# The arguments of run_glmm(): labelled data, contrasts that may be text, families by FiNN's names.

# A data frame of the labelled columns. Of a data frame every column keeps its values.
labelled_frame <- function(data, label_name, factor_type) {
  if (!is.data.frame(data)) {
    return(model_data(data, label_name, factor_type))
  }
  label_name <- check_labels(label_name, ncol(data))
  types <- if (is.null(factor_type)) {
    ifelse(vapply(data, is_measured, NA), "continuous", "categorical")
  } else {
    check_factor_types(factor_type, label_name)
  }
  columns <- lapply(seq_along(label_name), function(k) {
    typed_column(data[[k]], types[k], label_name[k])
  })
  structure(
    columns, names = label_name, class = "data.frame", row.names = .set_row_names(nrow(data))
  )
}

typed_column <- function(x, type, label) {
  if (type == "categorical") {
    return(if (is.factor(x)) x else if (is.numeric(x)) numeric_factor(x) else factor(x))
  }
  if (!is_measured(x) && !is.logical(x)) {
    pp_abort("argument", c(
      x = "The column {.var {label}} is not continuous, as {.arg factor_type} says.",
      i = "It is {.obj_type_friendly {x}}."
    ))
  }
  as.numeric(x)
}

# Dates and times are numbers too.
is_measured <- function(x) is.numeric(x) || inherits(x, c("Date", "POSIXct", "difftime"))

# Every variable is a column: one of the same name elsewhere is not taken for it.
check_known_variables <- function(formula, labels) {
  used <- setdiff(all.vars(formula), ".")
  constant <- vapply(used, exists, NA, envir = baseenv(), inherits = FALSE)
  unknown <- setdiff(used[!constant], labels)
  if (length(unknown)) {
    pp_abort("argument", c(
      x = "{.arg formula} has {cli::qty(unknown)}variable{?s} {.var {unknown}}, which {?is/are} not
           in {.arg label_name}.",
      suggest_name(unknown[1L], labels)
    ))
  }
}

# Families by any spelling of their names.
family_of_type <- function(data_type, link) {
  if (is.character(data_type) && length(data_type) == 1L) {
    known <- names(family_traits)
    at <- match(tolower(data_type), tolower(known))
    if (!is.na(at)) data_type <- known[at]
  }
  if (is.null(link)) {
    return(as_family(data_type))
  }
  if (!is.character(data_type)) {
    pp_abort("argument", c(
      x = "{.arg link} is for a {.arg data_type} given by its name.",
      ">" = "Give the family with its link, such as {.code Gamma(\"log\")}."
    ))
  }
  name <- as_family(data_type)$family
  link <- check_link(name, link)
  maker <- switch(name, beta = beta_family, t = t_family, get(name, mode = "function"))
  as_family(do.call(maker, list(link = link)))
}

# Those contrasts that belong to factors of the fixed effects.
contrasts_for_fit <- function(contrasts, formula, frame) {
  if (is.character(contrasts) && length(contrasts) == 1L && is.null(names(contrasts))) {
    contrasts <- parse_contrasts(contrasts)
  }
  contrasts <- check_contrasts(contrasts)
  if (length(contrasts) == 0L) {
    return(NULL)
  }
  given <- names(contrasts)
  unknown <- setdiff(given, names(frame))
  if (is.null(given) || length(unknown)) {
    pp_abort("argument", c(
      x = "{.arg contrasts} must be a list with the names of columns.",
      i = if (length(unknown)) "There is no column {.val {unknown}}.",
      if (length(unknown)) suggest_name(unknown[1L], names(frame))
    ))
  }
  split <- split_formula(formula)
  fixed <- stats::terms(
    make_formula(split$fixed, split$response, environment(formula)), data = frame
  )
  categorical <- names(frame)[vapply(frame, is.factor, NA)]
  kept <- contrasts[given %in% intersect(variable_names(fixed)[-1L], categorical)]
  variables <- intersect(c(all.vars(formula), all.vars(fixed)), names(frame))
  used <- stats::complete.cases(frame[variables])
  for (name in names(kept)) {
    levels <- levels(droplevels(frame[[name]][used]))
    # With fewer levels the design says what is wrong. A name serves any levels that are left.
    if (length(levels) > 1L) {
      C <- contrast_matrix(kept[[name]], levels, name)
      if (!is.character(kept[[name]])) kept[[name]] <- C
    }
  }
  kept
}

# "list(a = contr.sum, b = contr.treatment)": names of functions of contrasts, no code is run.
parse_contrasts <- function(text) {
  parsed <- tryCatch(str2lang(text), error = function(e) NULL)
  is_list <- is.call(parsed) && identical(parsed[[1L]], quote(list))
  if (!is_list && !identical(parsed, quote(NULL))) abort_contrasts_text(text)
  entries <- as.list(parsed)[-1L]
  lapply(entries, function(entry) {
    name <- if (is.symbol(entry) || is.character(entry)) as.character(entry) else ""
    if (!grepl("^contr[.]", name) || !exists(name, mode = "function")) abort_contrasts_text(text)
    name
  })
}

abort_contrasts_text <- function(text) {
  pp_abort("argument", c(
    x = "{.arg contrasts} cannot be read: {.val {text}}.",
    i = "It may be text such as {.code list(a = contr.sum, b = contr.treatment)}, with the names of
         functions of contrasts.",
    ">" = "Give a list for anything else."
  ))
}
