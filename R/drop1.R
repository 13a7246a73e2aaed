# Tests of each term of the fixed effects that can be left out.

#' Leave out the terms of a fit, one at a time
#'
#' For each term of the fixed effects that no other term contains, or those of `scope`: the AIC of
#' the model without it and a test of it.
#'
#' `test = "Chisq"` fits every smaller model, from the design that the fit stores (no data are
#' looked up), and gives likelihood-ratio tests. A fit by REML is compared by maximum likelihood,
#' without a message: restricted likelihoods of different fixed effects cannot be compared.
#'
#' `test = "F"` (linear models) fits nothing: it tests, given the variance parameters of the fit,
#' that the coefficients are those of the smaller model, with denominator degrees of freedom by
#' `ddf`. For a term that is contained in others (in a `scope` that has it) that hypothesis depends
#' on the coding of the factors; [anova.pp_lmm()] has types that do not. With several coefficients
#' Satterthwaite's denominator may differ a little from that of [anova.pp_lmm()]: it depends on the
#' contrasts by which a hypothesis is written. That of Kenward and Roger does not.
#'
#' @param object A fit, as [lmm()] or [glmm()] returns it.
#' @param scope The terms to leave out: a one-sided formula, as `~ a + b`, or their labels. Default:
#'   all that [stats::drop.scope()] finds.
#' @param test `"Chisq"` (default), `"F"` (linear models) or `"none"`: the AIC alone.
#' @param ddf Denominator degrees of freedom of the F tests: `"satterthwaite"` (default),
#'   `"kenward-roger"`, `"residual"` or `"none"`, see [anova.pp_lmm()].
#' @param k The penalty per parameter of the AIC, 2 by default.
#' @param ... Must be empty.
#' @return A data frame of class `"anova"` with a row a term. `"Chisq"` and `"none"`: first a row
#'   `<none>` for the model itself; columns `npar` (how many parameters the term has), `AIC`, `LRT`
#'   and `Pr(>Chisq)`. `"F"`: `NumDF`, `DenDF`, `F value`, `Pr(>F)`.
#' @section Errors: Terms that the model does not have, and a test that there is not for the fit
#'   (F for a generalised model, likelihood ratios after penalised quasi-likelihood), are of class
#'   `partialpool_error_argument`.
#' @seealso [anova.pp_lmm()], [ranova()] for the random terms.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' drop1(fit)
#' drop1(fit, test = "F")
#' @name drop1.pp_fit
#' @importFrom stats drop1
NULL

#' @rdname drop1.pp_fit
#' @export
drop1.pp_lmm <- function(object, scope, test = c("Chisq", "F", "none"), ddf = NULL, k = 2, ...) {
  reject_dots(...)
  test <- choose_option(test, c("Chisq", "F", "none"), "test")
  labels <- drop_labels(object, if (missing(scope)) NULL else scope)
  if (test == "F") {
    return(deletion_f_table(object, labels, ddf))
  }
  reject_ddf(ddf)
  deletion_lrt_table(object, labels, test, check_positive(k, "k"))
}

#' @rdname drop1.pp_fit
#' @export
drop1.pp_glmm <- function(object, scope, test = c("Chisq", "none"), k = 2, ...) {
  reject_dots(...)
  if (identical(test, "F")) {
    pp_abort("argument", c(
      x = "There is no F test of the terms of a generalised linear mixed model.",
      i = "The variance of the response is known given its mean.",
      ">" = "Use {.code test = \"Chisq\"}."
    ))
  }
  test <- choose_option(test, c("Chisq", "none"), "test")
  check_has_likelihood(object)
  labels <- drop_labels(object, if (missing(scope)) NULL else scope)
  deletion_lrt_table(object, labels, test, check_positive(k, "k"))
}

reject_ddf <- function(ddf) {
  if (!is.null(ddf)) {
    pp_abort("argument", c(x = "{.arg ddf} belongs to {.code test = \"F\"}."))
  }
}

check_has_likelihood <- function(fit) {
  if (identical(fit$method, "pql")) {
    pp_abort("argument", c(
      x = "A fit by penalised quasi-likelihood has no likelihood to compare.",
      ">" = "Fit with {.code method = \"laplace\"}; {.fn anova} has Wald tests."
    ))
  }
}

# Labels of the terms to leave out.
drop_labels <- function(fit, scope) {
  labels <- attr(fit$terms, "term.labels")
  if (is.null(scope)) {
    return(stats::drop.scope(fit$terms))
  }
  if (!is.character(scope)) {
    if (!inherits(scope, "formula")) {
      pp_abort("argument", c(
        x = "{.arg scope} must be a one-sided formula or the labels of terms.",
        i = "It is {.obj_type_friendly {scope}}."
      ))
    }
    fixed <- stats::formula(fit$terms)
    scope <- attr(stats::terms(stats::update.formula(fixed, scope)), "term.labels")
  }
  unknown <- setdiff(scope, labels)
  if (length(unknown)) {
    pp_abort("argument", c(
      x = "{.arg scope} has terms that the model has not: {.code {unknown}}.",
      i = "Its terms are {.code {labels}}."
    ))
  }
  scope
}

deletion_lrt_table <- function(fit, labels, test, k) {
  whole <- refit_ml(quiet_fit(fit))
  smaller <- lapply(labels, function(label) fit_without(whole, label))
  values <- lapply(c(list(whole), smaller), likelihood_of)
  df <- vapply(values, attr, 0, "df")
  loglik <- vapply(values, as.numeric, 0)
  npar <- c(NA, df[1L] - df[-1L])
  table <- data.frame(
    npar = npar, AIC = -2 * loglik + k * df, row.names = c("<none>", labels)
  )
  if (test == "Chisq") {
    table$LRT <- c(NA, pmax(0, 2 * (loglik[1L] - loglik[-1L])))
    p <- stats::pchisq(table$LRT, npar, lower.tail = FALSE)
    # Nothing was left out: all of it was a combination of other columns.
    p[which(npar == 0)] <- NA
    table[["Pr(>Chisq)"]] <- p
  }
  structure(table, heading = deletion_heading(fit), class = c("pp_anova", "anova", "data.frame"))
}

deletion_heading <- function(fit, how = NULL) {
  c(
    paste0("Single term deletions", if (!is.null(how)) paste(":", how)), "",
    "Model:", formula_lines(deparse1(fit$formula), getOption("width")), ""
  )
}

# The ML fit without a term of the fixed effects.
fit_without <- function(fit, label) {
  design <- design_of(fit)
  terms <- terms_without(fit$terms, label)
  fixed <- reduced_matrix(fit, terms)
  design$terms <- terms
  design$X <- fixed
  design["contrasts"] <- list(attr(fixed, "contrasts"))
  design$xlevels <- design$xlevels[names(design$xlevels) %in% variable_names(terms)]
  design$formula <- stats::update.formula(fit$formula, paste(". ~ . -", label))
  environment(design$formula) <- environment(fit$formula)
  call <- fit$call
  call$formula <- design$formula
  # The columns that a smaller model leaves out have been named for the whole one.
  suppressMessages(if (inherits(fit, "pp_glmm")) {
    fit_glmm(design, integral_of(fit), FALSE, without_names(fit$prior, colnames(fixed)), NULL,
             fit$control, call)
  } else {
    fit_design(design, FALSE, NULL, fit$control, call)
  }, classes = "partialpool_message_rank")
}

# A prior without values for coefficients that are left out.
without_names <- function(prior, columns) {
  if (is.null(prior)) {
    return(NULL)
  }
  kept <- function(x) if (is.null(names(x))) x else x[names(x) %in% c("", columns)]
  prior$sd <- kept(prior$sd)
  prior$mean <- kept(prior$mean)
  if (!length(prior$sd)) prior$sd <- Inf
  if (!length(prior$mean)) prior$mean <- 0
  prior
}

reduced_matrix <- function(fit, terms) {
  columns <- factorise(fit$frame, variable_names(terms)[-1L])
  contrasts <- fit$contrasts[names(fit$contrasts) %in% variable_names(terms)]
  model_matrix(terms, columns, if (length(contrasts)) contrasts)
}

deletion_f_table <- function(fit, labels, ddf) {
  found <- inference(fit, ddf)
  factor <- qr(fit$X)
  tests <- lapply(labels, function(label) {
    L <- deletion_contrasts(factor, reduced_matrix(fit, terms_without(fit$terms, label)))
    if (nrow(L)) found$joint(L) else list(num = 0, den = NA, statistic = NA, p = NA)
  })
  column <- function(name) vapply(tests, function(test) as.numeric(test[[name]]), 0)
  table <- data.frame(
    NumDF = column("num"), DenDF = column("den"), "F value" = column("statistic"),
    "Pr(>F)" = column("p"), row.names = labels, check.names = FALSE
  )
  how <- switch(found$ddf,
    satterthwaite = "F tests with Satterthwaite's df",
    "kenward-roger" = "F tests with Kenward-Roger's df",
    residual = "F tests with residual df", none = "F tests with infinite df"
  )
  structure(table,
    heading = deletion_heading(fit, how), class = c("pp_anova", "anova", "data.frame")
  )
}

# L with L beta = 0 where X beta lies in the span of the smaller X: the part of the space of X,
# in its orthonormal basis, that the smaller one does not reach.
deletion_contrasts <- function(factor, smaller) {
  p <- factor$rank
  inside <- qr.qty(factor, smaller)[seq_len(p), , drop = FALSE]
  if (ncol(inside)) inside <- inside / rep(pmax(sqrt(colSums(inside^2)), 1e-300), each = p)
  reached <- qr(inside)
  outside <- qr.Q(reached, complete = TRUE)[, setdiff(seq_len(p), seq_len(reached$rank)),
                                            drop = FALSE]
  L <- crossprod(outside, qr.R(factor)[seq_len(p), , drop = FALSE])
  L[, factor$pivot] <- L
  L
}
