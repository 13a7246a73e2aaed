# Fixed effects in another coding of the factors: a linear map of the coefficients fitted.

# What each term stands for: a list, the intercept last, of list(term, L, test, coding, columns):
# the rows of L (k x p, named) make its coefficients of those fitted. The rows of `test` span the
# same hypothesis and are those that anova() takes: Satterthwaite's degrees of freedom of a joint
# test depend, in some late digit, on the rows.
effect_hypotheses <- function(fit, type, contrasts = NULL, coding = "sum") {
  term_of <- column_terms(fit)
  labels <- unique(term_of)
  labels <- c(setdiff(labels, "(Intercept)"), intersect(labels, "(Intercept)"))
  if (type < 3L) labels <- setdiff(labels, "(Intercept)")
  codings <- coding_cache(fit)
  averaging <- type == 3L && is.null(contrasts) && coding == "sum"
  V <- if (type < 3L) relative_covariance(fit)
  reference <- if (type == 1L) {
    hypotheses_type_1(fit, inference(fit, "none"))
  } else if (type == 2L) {
    hypotheses_type_2(fit, inference(fit, "none"))
  } else if (averaging) {
    hypotheses_type_3(fit, "sum", quiet = TRUE)
  }
  lapply(labels, function(label) {
    used <- if (averaging) others_to_sum(fit, label) else contrasts
    own <- codings(used)
    k <- which(term_of == label)
    L <- own$map[k, , drop = FALSE]
    if (type < 3L) {
      beyond <- terms_beyond(fit, label, term_of, type)
      L <- L - project_out(own$map, k, beyond, V)
    }
    test <- if (!isTRUE(own$failed)) reference[[label]]
    if (is.null(test)) test <- L
    list(term = label, L = L, test = unname(test), coding = own, columns = k)
  })
}

# The covariance of the fixed effects in units in which it exists. Coefficients that run to infinity
# have none: they are kept apart from the others.
relative_covariance <- function(fit) {
  if (inherits(fit, "pp_lmm")) {
    return(fit$vcov_unscaled)
  }
  V <- fit$vcov
  infinite <- is.na(diag(V))
  V[infinite, ] <- 0
  V[, infinite] <- 0
  diag(V)[infinite] <- 1
  V
}

# Columns as terms, for models without a formula.
column_hypotheses <- function(names) {
  p <- length(names)
  lapply(c(which(names != "(Intercept)"), which(names == "(Intercept)")), function(k) {
    L <- matrix(as.numeric(seq_len(p) == k), 1L, p, dimnames = list(names[k], NULL))
    list(term = names[k], L = L, test = unname(L), coding = NULL, columns = k)
  })
}

# The columns of the terms that the test of a term of type I or II leaves out of the model.
terms_beyond <- function(fit, label, term_of, type) {
  labels <- setdiff(unique(term_of), "(Intercept)")
  left_out <- if (type == 1L) {
    labels[-seq_len(match(label, labels))]
  } else {
    factors <- attr(fit$terms, "factors")
    Filter(function(other) contains_term(factors, other, label), setdiff(labels, label))
  }
  which(term_of %in% left_out)
}

# What the coefficients `k` change by when those of `beyond` are held at zero:
# beta_k - V_kb V_bb^-1 beta_b is the generalised least squares estimate without the columns b.
project_out <- function(map, k, beyond, V) {
  if (!length(beyond)) {
    return(0)
  }
  Vc <- map %*% V %*% t(map)
  scale <- sqrt(diag(Vc))[beyond]
  Vbb <- Vc[beyond, beyond, drop = FALSE] / outer(scale, scale)
  slope <- t(solve(Vbb, t(Vc[k, beyond, drop = FALSE]) / scale))
  slope %*% (map[beyond, , drop = FALSE] / scale)
}

# All factors but those of the term itself sum to zero.
others_to_sum <- function(fit, label) {
  factors <- names(attr(fit$X, "contrasts"))
  own <- if (label != "(Intercept)") {
    table <- attr(fit$terms, "factors")
    plain_names(rownames(table)[table[, label] > 0L])
  }
  others <- factors[!plain_names(factors) %in% own]
  if (length(others)) stats::setNames(rep(list("contr.sum"), length(others)), others)
}

# Did the columns of a fit not determine the coding wanted?
fell_back <- function(hypotheses) {
  any(vapply(hypotheses, function(h) isTRUE(h$coding$failed), NA))
}

# A function of contrasts that gives recoding_of() of a fit, each coding computed once.
coding_cache <- function(fit) {
  known <- list()
  function(contrasts) {
    for (entry in known) {
      if (identical(entry$contrasts, contrasts)) {
        return(entry)
      }
    }
    entry <- recoding_of(fit, contrasts)
    if (is.null(entry)) {
      if (!any(vapply(known, function(e) isTRUE(e$failed), NA))) inform_no_recoding()
      entry <- recoding_of(fit, NULL)
      entry$contrasts <- contrasts
      entry$failed <- TRUE
    }
    known[[length(known) + 1L]] <<- entry
    entry
  }
}

# list(contrasts, map, sd(), matrices): map is the matrix T with X = X_c T, so that T beta are the
# coefficients of X_c; sd() gives the standard deviations of the columns of X_c. NULL if X does not
# determine T.
recoding_of <- function(fit, contrasts) {
  fitted <- attr(fit$X, "contrasts")
  columns <- factorise(fit$frame, names(fitted))
  matrices <- contrast_matrices(columns, utils::modifyList(as.list(fitted), as.list(contrasts)))
  names <- colnames(fit$X)
  if (is.null(contrasts)) {
    p <- length(names)
    map <- matrix(as.numeric(diag(p)), p, p, dimnames = list(names, NULL))
    return(list(contrasts = NULL, map = map, sd = function() column_sd(fit$X),
                matrices = matrices))
  }
  frame <- factorise(fit$frame, variable_names(fit$terms)[-1L])
  whole <- function() {
    X <- model_matrix(fit$terms, frame, matrices)
    X[, !left_out(X, fit), drop = FALSE]
  }
  rows <- telling_rows(fit, columns, matrices)
  map <- if (length(rows)) {
    map_between(model_matrix(fit$terms, frame[rows, , drop = FALSE], matrices),
                fit$X[rows, , drop = FALSE])
  }
  if (is.null(map)) map <- map_between(whole(), fit$X)
  if (is.null(map)) {
    return(NULL)
  }
  list(contrasts = contrasts, map = map, sd = function() column_sd(whole()), matrices = matrices)
}

# Columns of X that the fit is without: those of whole terms, and single ones that have the same
# name in every coding.
left_out <- function(X, fit) {
  assign <- attr(X, "assign")
  lost <- !assign %in% attr(fit$X, "assign")
  factors <- attr(fit$terms, "factors")
  numeric <- if (length(factors)) {
    is_factor <- plain_names(rownames(factors)) %in% plain_names(names(attr(fit$X, "contrasts")))
    which(colSums(factors[is_factor, , drop = FALSE]) == 0)
  }
  lost | assign %in% c(0L, numeric) & colnames(X) %in% fit$aliased
}

# The matrix T with X = Xc T, with the names of the columns of Xc; NULL if there is none or many.
map_between <- function(Xc, X) {
  # In columns of one size: the rank is then not a matter of units.
  size <- sqrt(colSums(Xc^2))
  if (ncol(Xc) != ncol(X) || any(size == 0)) {
    return(NULL)
  }
  scaled <- Xc / rep(size, each = nrow(Xc))
  factorised <- qr(scaled, tol = 1e-10)
  if (factorised$rank < ncol(Xc)) {
    return(NULL)
  }
  map <- qr.coef(factorised, X)
  if (max(abs(scaled %*% map - X)) > 1e-7 * max(abs(X))) {
    return(NULL)
  }
  map <- clean_map(map / size)
  dimnames(map) <- list(colnames(Xc), NULL)
  map
}

# A few rows of each combination of levels determine the map as well as all rows do, if both codings
# are complete and no column was dropped. NULL: take all.
telling_rows <- function(fit, columns, matrices) {
  complete <- all(vapply(matrices, function(C) ncol(C) == nrow(C) - 1L, NA))
  if (!complete || length(fit$aliased) || fit$n < 2000L) {
    return(NULL)
  }
  cell <- 0
  for (name in names(matrices)) {
    cell <- cell * nrow(matrices[[name]]) + as.integer(factor(columns[[name]]))
  }
  by_cell <- order(cell)
  runs <- rle(cell[by_cell])$lengths
  rows <- by_cell[sequence(runs) <= ncol(fit$X) + 5L]
  if (length(rows) < fit$n / 2) rows
}

# Zeros that rounding has filled.
clean_map <- function(map) {
  size <- apply(abs(map), 2L, max)
  map[abs(map) < 1e-13 * rep(size, each = nrow(map))] <- 0
  map
}

column_sd <- function(X) apply(X, 2L, stats::sd)

# The matrices of contrasts of all factors: levels x columns, with dimnames.
contrast_matrices <- function(columns, contrasts) {
  matrices <- lapply(names(contrasts), function(name) {
    contrast_matrix(contrasts[[name]], factor_levels(columns[[name]]), name)
  })
  stats::setNames(matrices, names(contrasts))
}

factor_levels <- function(x) if (is.logical(x)) c("FALSE", "TRUE") else levels(x)

contrast_matrix <- function(how, levels, name) {
  m <- length(levels)
  C <- if (is.matrix(how)) how else called_contrasts(how, levels)
  usable <- !is.null(C) && is.numeric(C) && nrow(C) == m && ncol(C) < m && all(is.finite(C)) &&
    qr(cbind(1, C))$rank == ncol(C) + 1L
  if (!usable) {
    pp_abort("argument", c(
      x = "The contrasts of {.var {name}} cannot be used.",
      i = "They must be a function such as {.fn contr.sum}, its name, or a matrix of {m} rows with
           linearly independent columns that do not add up to the intercept."
    ))
  }
  rownames(C) <- levels
  C
}

# Given the levels, a function of contrasts names its columns; some take their number only.
called_contrasts <- function(how, levels) {
  call_with <- function(n) tryCatch(as.matrix(match.fun(how)(n)), error = function(e) NULL)
  C <- call_with(levels)
  if (is.null(C)) call_with(length(levels)) else C
}

check_effect_contrasts <- function(contrasts, fit) {
  contrasts <- check_contrasts(contrasts)
  if (length(contrasts) == 0L) {
    return(NULL)
  }
  given <- names(contrasts)
  variables <- unique(c(names(fit$frame), all.vars(fit$formula)))
  unknown <- setdiff(given, variables)
  if (is.null(given) || length(unknown)) {
    pp_abort("argument", c(
      x = "{.arg contrasts} must be a list with the names of factors of the model.",
      i = if (length(unknown)) "There is no variable {.val {unknown}} in it.",
      if (length(unknown)) suggest_name(unknown[1L], names(attr(fit$X, "contrasts")))
    ))
  }
  contrasts <- contrasts[given %in% names(attr(fit$X, "contrasts"))]
  if (length(contrasts)) contrasts
}

inform_no_recoding <- function() {
  pp_inform("rank", c(
    i = "The columns of {.code X} do not determine the coefficients in another coding.",
    ">" = "Effects and tests are those of the coefficients as fitted."
  ))
}
