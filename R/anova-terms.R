# Tests of the fixed-effects terms of one fit. Each term has a hypothesis matrix L, with L beta = 0.

# Class and page of the result: anova.pp_lmm, anova.pp_glmm.
term_tests <- function(fit, type, test, tests, coding) {
  chisq <- test == "Chisq"
  hypotheses <- switch(type,
    hypotheses_type_1(fit, tests), hypotheses_type_2(fit, tests), hypotheses_type_3(fit, coding)
  )
  if (type < 3L || !chisq) hypotheses <- hypotheses[names(hypotheses) != "(Intercept)"]
  results <- lapply(hypotheses, tests$joint)
  table <- if (chisq) chisq_table(results) else f_table(results)
  structure(table,
    heading = tests_heading(fit, type, test, tests$ddf, hypotheses), hypotheses = hypotheses,
    class = c("pp_anova", "anova", "data.frame")
  )
}

choose_type <- function(type) {
  known <- list(c("1", "I"), c("2", "II"), c("3", "III"))
  found <- which(vapply(known, function(k) length(type) == 1L && as.character(type) %in% k, NA))
  if (length(found) == 0L) {
    pp_abort("argument", c(
      x = "{.arg type} must be 1, 2 or 3.",
      i = "It is {.val {type}}."
    ))
  }
  found
}

# Name of the term of each kept column.
column_terms <- function(fit) {
  labels <- c("(Intercept)", attr(fit$terms, "term.labels"))
  labels[attr(fit$X, "assign") + 1L]
}

# Type III: the coefficients of a term when all factors have contrasts that sum to zero; NULL if
# there is no such recoding and nothing is to be said.
hypotheses_type_3 <- function(fit, coding, quiet = FALSE) {
  term_of <- column_terms(fit)
  has_factors <- length(attr(fit$X, "contrasts")) > 0L
  recoding <- if (coding == "sum" && has_factors) sum_recoding(fit)
  if (is.null(recoding)) {
    if (quiet) {
      return(NULL)
    }
    if (coding == "sum" && has_factors) inform_coding_as_fitted()
    coding <- "fitted"
    recoding <- diag(length(term_of))
  }
  rows <- split(seq_along(term_of), factor(term_of, unique(term_of)))
  hypotheses <- lapply(rows, function(k) recoding[k, , drop = FALSE])
  if (coding == "fitted") hypotheses else level_differences(hypotheses, fit)
}

# Differences of levels in place of their deviations from the mean: the same hypotheses, with the
# rows that lmerTest takes (by Satterthwaite's method they matter a little). All are differences
# from the level whose name comes first, so that the order of the levels does not matter either.
level_differences <- function(hypotheses, fit) {
  levels <- lapply(fit$xlevels, order_of_names)
  factors <- attr(fit$terms, "factors")
  for (term in intersect(names(hypotheses), colnames(factors))) {
    variables <- rownames(factors)[factors[, term] > 0L]
    differences <- lapply(levels[intersect(variables, names(levels))], difference_rows)
    # The first factor of a term runs fastest.
    map <- Reduce(function(done, own) kronecker(own, done), differences, matrix(1))
    if (ncol(map) == nrow(hypotheses[[term]])) hypotheses[[term]] <- map %*% hypotheses[[term]]
  }
  hypotheses
}

# Ranks of the levels by name, by number where all are numbers.
order_of_names <- function(levels) {
  numbers <- suppressWarnings(as.numeric(levels))
  if (anyNA(numbers)) order(order(levels, method = "radix")) else order(order(numbers))
}

# Differences from the first level by name, from coefficients that sum to zero.
difference_rows <- function(ranks) {
  effects <- stats::contr.sum(length(ranks))
  first <- which(ranks == 1L)
  effects[-first, , drop = FALSE] - rep(effects[first, ], each = length(ranks) - 1L)
}

# The matrix T with X = X_sum T, so that T beta are the coefficients in the sum-to-zero coding.
# NULL when X does not determine it.
sum_recoding <- function(fit) {
  factors <- names(attr(fit$X, "contrasts"))
  to_sum <- stats::setNames(rep(list("contr.sum"), length(factors)), factors)
  columns <- factorise(fit$frame, variable_names(fit$terms)[-1L])
  X <- model_matrix(fit$terms, columns, to_sum)
  X <- X[, attr(X, "assign") %in% attr(fit$X, "assign"), drop = FALSE]
  if (ncol(X) == ncol(fit$X)) {
    factorised <- qr(X)
    recoding <- qr.coef(factorised, fit$X)
    if (factorised$rank == ncol(X) && near(X %*% recoding, fit$X)) {
      return(unname(recoding))
    }
  }
  NULL
}

inform_coding_as_fitted <- function() {
  pp_inform("rank", c(
    i = "The columns of {.code X} do not determine tests that are independent of the coding.",
    ">" = "Each term is tested by its coefficients as fitted ({.code coding = \"fitted\"})."
  ))
}

near <- function(a, b) max(abs(a - b)) <= 1e-7 * max(abs(b))

# Type I: rows of the Cholesky factor of the information, so that the tests add up.
hypotheses_type_1 <- function(fit, tests) {
  term_of <- column_terms(fit)
  if (length(term_of) == 0L) {
    return(list())
  }
  R <- chol(chol2inv(chol(tests$working)))
  rows <- split(seq_along(term_of), factor(term_of, unique(term_of)))
  lapply(rows, function(k) hypothesis_basis(R[k, , drop = FALSE], tests$metric))
}

# Type II: the term together with those that contain it, without what those contribute.
hypotheses_type_2 <- function(fit, tests) {
  term_of <- column_terms(fit)
  factors <- attr(fit$terms, "factors")
  identity <- diag(length(term_of))
  # A term that no other contains has the same hypothesis as in type III; not so with columns left
  # out, where its columns may say something else in another coding.
  type_3 <- if (!length(fit$aliased)) hypotheses_type_3(fit, "sum", quiet = TRUE)
  labels <- setdiff(unique(term_of), "(Intercept)")
  names(labels) <- labels
  lapply(labels, function(label) {
    own <- which(term_of == label)
    others <- setdiff(labels, label)
    containing <- Filter(function(other) contains_term(factors, other, label), others)
    above <- which(term_of %in% containing)
    if (length(above) == 0L) {
      return(if (is.null(type_3)) identity[own, , drop = FALSE] else type_3[[label]])
    }
    whole <- identity[c(own, above), , drop = FALSE]
    L <- conjugate_complement(whole, identity[above, , drop = FALSE], tests$working)
    hypothesis_basis(L, tests$metric)
  })
}

contains_term <- function(factors, larger, smaller) {
  all(factors[factors[, smaller] > 0L, larger] > 0L)
}

# Combinations of the rows of `whole` that are uncorrelated with the rows of `part`.
conjugate_complement <- function(whole, part, V) {
  # In units of the standard errors: the rank is then not a matter of units.
  unit <- 1 / sqrt(diag(V))
  unit[!is.finite(unit)] <- 1
  V <- V * outer(unit, unit)
  back <- rep(unit, each = nrow(whole))
  overlap <- qr(whole %*% V %*% t(part))
  Q <- qr.Q(overlap, complete = TRUE)
  t(Q[, -seq_len(overlap$rank), drop = FALSE]) %*% (whole * back)
}

column_of <- function(tests, name) vapply(tests, function(test) as.numeric(test[[name]]), 0)

chisq_table <- function(tests) {
  df <- column_of(tests, "num")
  chisq <- column_of(tests, "chisq")
  data.frame(
    Chisq = chisq, Df = df, "Pr(>Chisq)" = stats::pchisq(chisq, df, lower.tail = FALSE),
    row.names = names(tests), check.names = FALSE
  )
}

f_table <- function(tests) {
  data.frame(
    NumDF = column_of(tests, "num"), DenDF = column_of(tests, "den"),
    "F value" = column_of(tests, "statistic"), "Pr(>F)" = column_of(tests, "p"),
    row.names = names(tests), check.names = FALSE
  )
}

tests_heading <- function(fit, type, test, ddf, hypotheses) {
  lost <- setdiff(attr(fit$terms, "term.labels"), names(hypotheses))
  c(
    paste0("Type ", c("I", "II", "III")[type], " analysis of variance: ",
      test_description(test, ddf)
    ),
    if (length(lost)) paste("Not estimable, left out:", paste(lost, collapse = ", ")),
    paste0("Response: ", deparse1(fit$formula[[2L]]))
  )
}

test_description <- function(test, ddf) {
  if (test == "Chisq") {
    return("Wald chi-square tests")
  }
  switch(ddf,
    satterthwaite = "F tests with Satterthwaite's df",
    "kenward-roger" = "F tests by Kenward and Roger", residual = "F tests with residual df",
    none = "F tests with infinite df"
  )
}
