# The records of fixtures/glmm.json as calls of glmm(), and their data.

# Data sets that old versions of lme4 lack come from the fixture.
reference_glmm_data <- function(code, file = test_path("fixtures", "glmm_data.rds")) {
  env <- new.env(parent = globalenv())
  env$df <- function(x) {
    class(x) <- "data.frame"
    x
  }
  sets <- readRDS(file)
  env$devdata <- function(x) sets[[x]]
  eval(parse(text = gsub("    ", "\n", code)), env)
}

reference_packages <- function(code) {
  setdiff(unique(sub("::", "", regmatches(code, gregexpr("[A-Za-z0-9]+::", code))[[1]])), "base")
}

# formula, family, nAGQ, REML, ziformula, dispformula, weights (a name) of a record
reference_case <- function(record) {
  text <- record$formula
  if (grepl("| random ~", text, fixed = TRUE)) { # GLMMadaptive: fixed | random ~ terms | group
    parts <- strsplit(text, " | ", fixed = TRUE)[[1]]
    text <- sprintf("%s + (%s | %s)", parts[1], sub("random ~", "", parts[2]), parts[3])
  }
  call <- reference_call(record$call %||% "list()")
  family <- record$family %||% call$family
  family <- if (family %in% c("nb", "GLMMadaptive::negative.binomial()")) {
    "nbinom2"
  } else if (grepl("^(binomial|poisson|Gamma)\\(", family)) {
    eval(parse(text = family), asNamespace("stats"))
  } else {
    sub("_family$", "", sub("\\(.*", "", family))
  }
  # stats' own families as objects, so that other programs understand them
  if (identical(family, "poisson")) family <- stats::poisson()
  if (identical(family, "gaussian")) family <- stats::gaussian()
  nodes <- regmatches(record$method %||% "nAGQ=1", regexpr("[0-9]+$", record$method %||% "nAGQ=1"))
  list(
    formula = stats::as.formula(text), family = family,
    nAGQ = if (length(nodes)) as.numeric(nodes) else 1,
    ziformula = call$ziformula, dispformula = call$dispformula, weights = record$weights
  )
}

reference_call <- function(code) {
  code <- parse(text = code)[[1]]
  get <- function(name) if (name %in% names(code)) code[[name]]
  family <- get("family")
  list(
    family = if (is.null(family)) "gaussian" else paste(deparse(family), collapse = ""),
    ziformula = if (!is.null(get("ziformula"))) stats::as.formula(get("ziformula")),
    dispformula = if (!is.null(get("dispformula"))) stats::as.formula(get("dispformula"))
  )
}
