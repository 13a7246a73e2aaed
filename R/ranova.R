# Likelihood-ratio tests of the random terms, one at a time.

#' Tests of the random terms
#'
#' A likelihood-ratio test of each random term: of the whole term, or of each of its variables.
#'
#' Every smaller model is fitted from the design that the fit stores, by the same criterion (with
#' `REML = TRUE` the restricted likelihood: the fixed effects are the same) and, for [glmm()], with
#' the same integral. With `reduce_terms = TRUE` a term `(a + b | g)` is tested by `(a | g)` and
#' `(b | g)`, `(x | g)` by `(1 | g)`, `(0 + f | g)` with a factor `f` by `(1 | g)`. Only what no
#' interaction in the term contains is left out. A term with one variable, or whose smaller version
#' would not be a special case of it, is left out as a whole; so are terms with the structures
#' `cs()` and `ar1()`. Of `(x || g)`, one term with uncorrelated effects, the intercept and `x` are
#' tested each.
#'
#' A variance of zero lies on the boundary of what is possible. The chi-square distribution with as
#' many degrees of freedom as there are parameters less is wrong there: its p-value is too large,
#' for a single variance by a factor of two. `mixture = TRUE` gives the p-value of the half-and-half
#' mixture of chi-square distributions with `Df` and `Df - 1` degrees of freedom. For one random
#' effect left out that is the asymptotic distribution (Self & Liang 1987, Stram & Lee 1994), if the
#' covariance matrices of the smaller model are not singular themselves. For several effects left
#' out at once (a factor, a whole term of several columns) the right mixture has distributions with
#' fewer degrees of freedom too, and a weight of at most one half for `Df`: the p-value given is an
#' upper bound, below that of the plain chi-square. Where the smaller fit is singular, and for a
#' correlation that exists only together with its variances (`ar1()`, `cs()` with separate
#' variances), it is an approximation. Notes above the table name the rows.
#'
#' @param fit A fit with random terms, as [lmm()] or [glmm()] returns it.
#' @param reduce_terms `TRUE` (default) tests the variables of a term, `FALSE` whole terms.
#' @param reduce.terms The same, for code written for lmerTest.
#' @param mixture `TRUE` gives p-values by the mixture distribution. Default `FALSE`: the chi-square
#'   distribution, as lmerTest.
#' @param ... Must be empty.
#' @return A data frame of class `"anova"`: a row `<none>` for the fit itself, and a row a test;
#'   columns `npar`, `logLik`, `AIC`, `LRT`, `Df`, `Pr(>Chisq)`. Its attribute `"fits"` holds the
#'   smaller fits by row name.
#' @section Errors: A fit without random terms or without a likelihood (penalised quasi-likelihood)
#'   is of class `partialpool_error_argument`.
#' @references
#' Self SG, Liang KY (1987). Asymptotic properties of maximum likelihood estimators and likelihood
#' ratio tests under nonstandard conditions. Journal of the American Statistical Association 82,
#' 605-610. \doi{10.2307/2289471}
#'
#' Stram DO, Lee JW (1994). Variance components testing in the longitudinal mixed effects model.
#' Biometrics 50, 1171-1177. \doi{10.2307/2533455}
#' @seealso [drop1.pp_lmm()] for the fixed effects; [bootstrap()] for tests without asymptotics.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' ranova(fit)
#' ranova(fit, reduce_terms = FALSE, mixture = TRUE)
#' @export
ranova <- function(fit, ...) UseMethod("ranova")

#' @rdname ranova
#' @export
ranova.default <- function(fit, ...) {
  # A fit of lme4 by lmerTest, whose function of this name is masked.
  if (inherits(fit, "lmerMod") && requireNamespace("lmerTest", quietly = TRUE)) {
    return(lmerTest::ranova(fit, ...))
  }
  pp_abort("argument", c(
    x = "{.arg fit} must be a fit by {.fn lmm} or {.fn glmm}.",
    i = "It is {.obj_type_friendly {fit}}."
  ))
}

#' @rdname ranova
#' @export
ranova.pp_fit <- function(fit, reduce_terms = reduce.terms, mixture = FALSE, ...,
                          reduce.terms = TRUE) {
  reject_dots(...)
  reduce_terms <- check_flag(reduce_terms, "reduce_terms")
  mixture <- check_flag(mixture, "mixture")
  if (!has_random(fit)) {
    pp_abort("argument", c(x = "The fit has no random terms to test."))
  }
  check_has_likelihood(fit)
  fit <- quiet_fit(fit)
  reductions <- unlist(lapply(seq_along(fit$random), function(t) {
    if (reduce_terms) term_reductions(fit, t) else list(whole_term(fit, t))
  }), recursive = FALSE)
  names <- make.unique(vapply(reductions, function(r) r$name, ""))
  fits <- stats::setNames(lapply(reductions, function(r) fit_with_random(fit, r$random)), names)
  quality <- vapply(seq_along(fits), function(i) {
    if (fits[[i]]$convergence$singular) "approximate" else reductions[[i]]$mixture
  }, "")
  ranova_table(fit, fits, if (mixture) quality)
}

# `quality` of the mixture as distribution of each test: "exact", "bound" or "approximate"; NULL:
# no mixture.
ranova_table <- function(fit, fits, quality) {
  values <- lapply(c(list(fit), unname(fits)), likelihood_of)
  npar <- vapply(values, attr, 0, "df")
  loglik <- vapply(values, as.numeric, 0)
  lrt <- c(NA, pmax(0, 2 * (loglik[1L] - loglik[-1L])))
  df <- c(NA, npar[1L] - npar[-1L])
  p <- stats::pchisq(lrt, df, lower.tail = FALSE)
  if (!is.null(quality)) p <- mixture_p(lrt, df, p)
  table <- data.frame(
    npar = npar, logLik = loglik, AIC = 2 * npar - 2 * loglik, LRT = lrt, Df = df,
    "Pr(>Chisq)" = p, row.names = c("<none>", names(fits)), check.names = FALSE
  )
  criterion <- if (fit$REML) "restricted likelihood" else "likelihood"
  heading <- c(
    paste0("Tests of the random terms by ", criterion, " ratio"), "",
    "Model:", formula_lines(deparse1(fit$formula), getOption("width")),
    mixture_notes(quality, names(fits)),
    ""
  )
  structure(table, heading = heading, fits = fits, class = c("pp_anova", "anova", "data.frame"))
}

# 1/2 chi-square with df degrees of freedom + 1/2 with one less (none: a point at zero).
mixture_p <- function(lrt, df, p) {
  below <- ifelse(df > 1, stats::pchisq(lrt, pmax(df - 1, 1), lower.tail = FALSE), lrt <= 0)
  (p + below) / 2
}

mixture_notes <- function(quality, names) {
  if (is.null(quality)) {
    return(NULL)
  }
  note <- function(kind, text) {
    if (any(quality == kind)) {
      strwrap(paste(text, toString(names[quality == kind])), getOption("width"), exdent = 2L)
    }
  }
  c(
    "p-values: half chi-square with Df, half with Df - 1 degrees of freedom",
    note("bound", "an upper bound for:"), note("approximate", "an approximation for:")
  )
}

# The smaller models, each a list: name, random, mixture (how good it is, see ranova_table()).
term_reductions <- function(fit, t) {
  term <- fit$random[[t]]
  labels <- attr(term$z_terms, "term.labels")
  if (term$structure == "diag" && length(term$columns) > 1L && !term$hom) {
    return(lapply(diagonal_parts(fit, term), function(part) {
      without_columns(fit, t, part$columns, part$label)
    }))
  }
  if (!term$structure %in% c("us", "diag") || !length(labels) || term$hom) {
    return(list(whole_term(fit, t)))
  }
  scope <- stats::drop.scope(term$z_terms)
  smaller <- lapply(scope, function(label) smaller_term(fit, term, label))
  nested <- !vapply(smaller, is.null, NA)
  if (!any(nested)) {
    return(list(whole_term(fit, t)))
  }
  Map(function(new, label) {
    random <- fit$random
    random[[t]] <- new
    list(name = reduction_name(label, term), random = random,
         mixture = mixture_quality(length(term$columns) - length(new$columns)))
  }, smaller[nested], scope[nested])
}

reduction_name <- function(label, term) paste0(label, " in (", label_of(inner_bar(term$expr)), ")")

# (x | g) without the name of a structure around it.
inner_bar <- function(expr) {
  while (is.call(expr) && !is_bar(expr)) expr <- expr[[2L]]
  expr
}

whole_term <- function(fit, t) {
  term <- fit$random[[t]]
  expr <- label_of(term$expr)
  name <- if (is_bar(term$expr)) paste0("(", expr, ")") else expr
  columns <- length(term$columns)
  curved <- columns > 1L && (term$structure == "ar1" || term$structure == "cs" && !term$hom)
  one <- columns == 1L || term$structure == "diag" && term$hom
  mixture <- if (curved) "approximate" else mixture_quality(if (one) 1L else columns)
  list(name = name, random = fit$random[-t], mixture = mixture)
}

mixture_quality <- function(effects) if (effects == 1L) "exact" else "bound"

# The term without one of its variables: NULL if that is no special case of it.
smaller_term <- function(fit, term, label) {
  labels <- setdiff(attr(term$z_terms, "term.labels"), label)
  intercept <- attr(term$z_terms, "intercept") == 1L || !length(labels)
  terms <- stats::terms(stats::reformulate(
    c(if (intercept) "1" else "0", labels), env = environment(term$z_terms)
  ))
  new <- term
  part <- term_columns(terms, fit$frame, list(expr = term$expr))
  new[c("columns", "z", "z_terms", "z_xlevels", "z_contrasts")] <-
    list(part$columns, part$z, part$terms, part$xlevels, part$contrasts)
  if (length(new$columns) == 1L) new$structure <- "us"
  old <- qr(term_matrix(term, fit$n))
  nested <- length(new$columns) < old$rank &&
    near(qr.fitted(old, term_matrix(new, fit$n)), term_matrix(new, fit$n))
  new$dropped_columns <- NULL
  if (nested) with_expression(new, terms)
}

term_matrix <- function(term, n) if (is.null(term$z)) matrix(1, n, 1L) else term$z

# What the term is called from now on.
with_expression <- function(term, terms) {
  bar <- inner_bar(term$expr)
  labels <- attr(terms, "term.labels")
  lhs <- c(if (!length(labels)) "1" else if (!attr(terms, "intercept")) "0", labels)
  bar[[2L]] <- str2lang(paste(lhs, collapse = " + "))
  term$expr <- bar
  term
}

# The variables of a diagonal term with the columns that belong to each.
diagonal_parts <- function(fit, term) {
  labels <- attr(term$z_terms, "term.labels")
  full <- term_columns_by_label(fit, term)
  parts <- c(if (attr(term$z_terms, "intercept")) "(Intercept)", labels)
  parts <- lapply(parts, function(label) {
    list(label = if (label == "(Intercept)") "1" else label,
         columns = which(full[term$columns] == label))
  })
  Filter(function(part) length(part$columns) > 0L, parts)
}

# Label of the variable that each column comes from, by column name.
term_columns_by_label <- function(fit, term) {
  labels <- c("(Intercept)", attr(term$z_terms, "term.labels"))
  frame <- factorise(fit$frame, variable_names(term$z_terms))
  z <- model_matrix(term$z_terms, frame)
  stats::setNames(labels[attr(z, "assign") + 1L], colnames(z))
}

without_columns <- function(fit, t, columns, label) {
  term <- fit$random[[t]]
  kept <- setdiff(seq_along(term$columns), columns)
  if (!length(kept)) {
    return(whole_term(fit, t))
  }
  new <- term
  new$columns <- term$columns[kept]
  new$z <- term_matrix(term, fit$n)[, kept, drop = FALSE]
  if (identical(new$columns, "(Intercept)")) new["z"] <- list(NULL)
  random <- fit$random
  random[[t]] <- new
  list(
    name = reduction_name(label, term), random = random, mixture = mixture_quality(length(columns))
  )
}

# The fit with other random terms.
fit_with_random <- function(fit, random) {
  design <- design_of(fit)
  design$random <- random
  bars <- lapply(random, function(term) if (is_bar(term$expr)) call("(", term$expr) else term$expr)
  fixed <- split_sum(fit$formula[[3L]], fit$formula)$fixed
  rhs <- sum_of(c(if (is.null(fixed)) list(1) else list(fixed), bars))
  design$formula <- make_formula(rhs, fit$formula[[2L]], environment(fit$formula))
  call <- fit$call
  call$formula <- design$formula
  if (inherits(fit, "pp_glmm")) {
    return(fit_glmm(design, integral_of(fit), fit$REML, fit$prior, NULL, fit$control, call))
  }
  fit_design(design, fit$REML, NULL, fit$control, call)
}
