# The marks that glmm() is measured against: for every record of tests/testthat/fixtures/glmm.json
# the optimum of the exact definition of its criterion, by programs other than ours.
#
# - Laplace, and beta in the inner mode (nAGQ = 0): the criterion of glmmTMB with its exact
#   gradient, optimised by nlminb and polished by Newton's method on the differenced gradient. The
#   figures recorded from glmmTMB itself are those of a search stopped earlier, its standard errors
#   off by up to 4e-3.
# - Adaptive quadrature: brute force, level by level, with all constants; optimised by nlminb and
#   polished by Newton's method on Richardson derivatives. lme4's figures lack the constants; in two
#   dimensions GLMMadaptive's product rule is turned another way and its search stops earlier.
# - Links that glmmTMB lacks, or for which it ends in a worse mode (Poisson, square root): brute
#   force Laplace from the densities' symbolic derivatives.
#
# Run from the root of the repository: Rscript data-raw/glmm_marks.R [id ...]

source("tests/testthat/helper-glmm-oracle.R")
source("tests/testthat/helper-glmm-reference.R")

fixture <- "tests/testthat/fixtures/glmm.json"
marks_file <- "tests/testthat/fixtures/glmm_marks.json"
data_file <- "tests/testthat/fixtures/glmm_data.rds"

# ---- glmmTMB, polished -------------------------------------------------------------------------

tmb_mark <- function(case, data) {
  arguments <- list(
    formula = case$formula, data = data, family = tmb_family(case),
    ziformula = case$ziformula %||% ~0, dispformula = case$dispformula %||% ~1,
    REML = isTRUE(case$REML)
  )
  if (!is.null(case$weights)) arguments$weights <- as.name(case$weights)
  if (any(grepl("hom = TRUE", deparse(case$formula)))) {
    # glmmTMB's cs() has a standard deviation for each of the four columns: tied
    arguments$map <- list(theta = factor(c(1, 1, 1, 1, 2)))
  }
  fit <- suppressWarnings(do.call(glmmTMB::glmmTMB, arguments))
  obj <- fit$obj
  par <- fit$fit$par
  if (identical(case$nAGQ, 0)) {
    # beta found with the random effects, outside of the determinant
    obj <- TMB::MakeADFun(
      obj$env$data, obj$env$parList(par), map = obj$env$map, random = "b", profile = "beta",
      DLL = "glmmTMB", silent = TRUE
    )
    found <- stats::nlminb(obj$par, obj$fn, obj$gr, control = list(rel.tol = 1e-14))
    par <- found$par
  }
  # A standard deviation that vanishes stays where it is: log(1e-6)
  zero <- names(par) == "theta" & par < -5
  par[zero] <- log(1e-6)
  move <- which(!zero)
  at <- function(p) replace(par, move, p)
  H <- diag(0, 0)
  for (iteration in seq_len(if (length(move)) 6 else 0)) {
    g <- as.numeric(obj$gr(par))[move]
    H <- numDeriv::jacobian(function(p) as.numeric(obj$gr(at(p)))[move], par[move])
    H <- (H + t(H)) / 2
    step <- solve(H, g)
    par <- at(par[move] - step)
    if (max(abs(step)) < 1e-9) break
  }
  stopifnot(length(move) == 0 || all(eigen(H, TRUE, TRUE)$values > 0))
  value <- as.numeric(obj$fn(par))
  se <- numeric(length(par)) + NA
  if (length(move)) se[move] <- sqrt(diag(solve(H)))
  full <- obj$env$parList(par)
  report <- obj$report(obj$env$last.par)
  terms <- glmmTMB::VarCorr(fit)$cond
  part <- function(name) unname(full[[name]])
  names_of <- function(which) names(glmmTMB::fixef(fit)[[which]])
  mark <- list(
    by = "glmmTMB, polished", logLik = -value,
    fixef = stats::setNames(part("beta"), names_of("cond")),
    sd = tmb_sds(terms, report), cor = tmb_cors(terms, report)
  )
  if ("beta" %in% names(par)) {
    mark$se <- stats::setNames(se[names(par) == "beta"], names_of("cond"))
  }
  family <- fit$modelInfo$family$family
  if ("betad" %in% names(par)) {
    sign <- if (family == "Gamma") -1 else 1 # glmmTMB's parameter is the log of the shape
    mark$dispersion <- stats::setNames(sign * part("betad"), names_of("disp"))
    mark$dispersion_se <- stats::setNames(se[names(par) == "betad"], names_of("disp"))
  }
  if ("betazi" %in% names(par)) {
    mark$zi <- stats::setNames(part("betazi"), names_of("zi"))
    mark$zi_se <- stats::setNames(se[names(par) == "betazi"], names_of("zi"))
  }
  if (family == "tweedie") mark$shape <- 1 + stats::plogis(part("psi"))
  mark
}

tmb_family <- function(case) {
  if (!is.character(case$family)) return(case$family)
  name <- if (case$family == "beta") "beta_family" else case$family
  getExportedValue("glmmTMB", name)()
}

tmb_sds <- function(terms, report) {
  unlist(lapply(seq_along(terms), function(t) {
    columns <- colnames(terms[[t]])
    sd <- report$sd[[t]]
    stats::setNames(rep_len(ifelse(sd <= 1e-5, 0, sd), length(columns)),
                    paste0(names(terms)[t], ".", columns))
  }))
}

tmb_cors <- function(terms, report) {
  unlist(lapply(seq_along(terms), function(t) {
    columns <- colnames(terms[[t]])
    R <- report$corr[[t]]
    if (length(columns) < 2 || !is.matrix(R) || nrow(R) < 2) return(NULL)
    pairs <- which(lower.tri(R), arr.ind = TRUE)
    stats::setNames(R[lower.tri(R)],
                    paste(names(terms)[t], columns[pairs[, 2]], columns[pairs[, 1]], sep = "."))
  }))
}

# ---- brute force ---------------------------------------------------------------------------------

# The fixed part of a model: X, y (a proportion where there are trials), trials, offset
fixed_part <- function(case, data) {
  fixed <- lme4::nobars(case$formula)
  frame <- stats::model.frame(fixed, data)
  y <- stats::model.response(frame)
  trials <- NULL
  if (is.matrix(y)) {
    trials <- rowSums(y)
    y <- y[, 1] / trials
  }
  if (is.factor(y)) y <- as.numeric(y != levels(y)[1])
  offset <- stats::model.offset(frame) %||% rep(0, length(y))
  list(
    X = stats::model.matrix(fixed, frame), y = as.numeric(y), trials = trials,
    offset = as.numeric(offset)
  )
}

# Pieces of a model with one grouping factor
pieces <- function(case, data) {
  bar <- lme4::findbars(case$formula)[[1]]
  family <- case$family
  if (is.character(family)) family <- list(family = family, link = "log")
  c(fixed_part(case, data), list(
    z = stats::model.matrix(eval(call("~", bar[[2]])), data),
    group = factor(eval(bar[[3]], data)), name = deparse(bar[[3]]), family = family,
    scale = family$family %in% c("Gamma", "inverse.gaussian", "gaussian", "nbinom2")
  ))
}

density_of <- function(m, phi, rows = seq_along(m$y)) {
  oracle_density(m$family$family, m$family$link, list(
    y = m$y[rows], trials = m$trials[rows], phi = if (m$scale) rep(phi, length(rows))
  ))
}

# The quadrature of oracle_agq(), all levels at once; one or two random effects a level
agq_value <- function(par, m, K, rule, start) {
  p <- ncol(m$z)
  b <- seq_len(ncol(m$X))
  Lambda <- matrix(0, p, p)
  Lambda[lower.tri(Lambda, TRUE)] <- par[length(b) + seq_len(p * (p + 1) / 2)]
  density <- density_of(m, if (m$scale) exp(par[length(par)]))
  fixed <- m$offset + as.numeric(m$X %*% par[b])
  zl <- m$z %*% Lambda
  j <- as.integer(m$group)
  J <- nlevels(m$group)
  sums <- function(v) as.numeric(rowsum(v, j, reorder = TRUE))
  eta <- function(u) fixed + rowSums(zl * u[j, , drop = FALSE])
  # The square root has a mode on either side of zero; the one with positive eta is meant
  barrier <- m$family$link == "sqrt"
  height <- function(u) {
    at <- eta(u)
    l <- attr(density, "value")(at)
    if (barrier) l[m$y > 0 & at <= 0] <- -Inf
    sums(l) - rowSums(u^2) / 2
  }
  u <- start$u
  if (is.null(u)) u <- matrix(0, J, p)
  if (any(!is.finite(height(u)))) u <- matrix(0, J, p)
  h <- height(u)
  factor_of <- function(w) {
    # Away from the mode the Hessian of a non-canonical link may not be negative definite
    if (anyNA(suppressWarnings(L <- lower_of(w)))) lower_of(abs(w)) else L
  }
  lower_of <- function(w) {
    l11 <- sqrt(1 + sums(w * zl[, 1]^2))
    if (p == 1) return(cbind(l11))
    l21 <- sums(w * zl[, 1] * zl[, 2]) / l11
    cbind(l11, l21, sqrt(1 + sums(w * zl[, 2]^2) - l21^2))
  }
  for (iteration in 1:200) {
    l <- density(eta(u))
    L <- factor_of(attr(l, "w"))
    r <- vapply(seq_len(p), function(k) sums(attr(l, "s") * zl[, k]), numeric(J)) - u
    r <- matrix(r, J, p)
    step <- if (p == 1) {
      r / L[, 1]^2
    } else {
      a1 <- r[, 1] / L[, 1]
      a2 <- (r[, 2] - L[, 2] * a1) / L[, 3]
      d2 <- a2 / L[, 3]
      cbind((a1 - L[, 2] * d2) / L[, 1], d2)
    }
    size <- rep(1, J)
    for (half in 1:40) {
      new <- height(u + size * step)
      bad <- !is.finite(new) | new < h - 1e-10 * abs(h)
      if (!any(bad)) break
      size[bad] <- size[bad] / 2
    }
    u <- u + size * step
    h <- height(u)
    if (max(abs(step)) < 1e-11 * (1 + max(abs(u)))) break
  }
  if (iteration == 200) stop("no mode")
  start$u <- u
  L <- factor_of(attr(density(eta(u)), "w"))
  grid <- as.matrix(expand.grid(rep(list(seq_len(K)), p)))
  terms <- apply(grid, 1, function(k) {
    x <- rule$x[k]
    v <- if (p == 1) {
      u + x / L[, 1]
    } else {
      d2 <- x[2] / L[, 3]
      u + cbind((x[1] - L[, 2] * d2) / L[, 1], d2)
    }
    sum(log(rule$w[k])) + height(v) + sum(x^2) / 2
  })
  top <- apply(terms, 1, max)
  log_det <- rowSums(log(L[, if (p == 1) 1 else c(1, 3), drop = FALSE]))
  -sum(top + log(rowSums(exp(terms - top))) - log_det)
}

brute_mark <- function(case, data, start, K) {
  m <- pieces(case, data)
  rule <- oracle_nodes(K)
  memory <- new.env()
  value <- function(par) {
    v <- tryCatch(suppressWarnings(agq_value(par, m, K, rule, memory)), error = function(e) NA)
    if (!is.finite(v)) memory$u <- NULL
    if (is.finite(v)) v else 1e10
  }
  p <- ncol(m$z)
  k <- ncol(m$X)
  theta <- k + seq_len(p * (p + 1) / 2)
  par <- start
  best <- Inf
  repeat { # started again where it stopped, until that gains nothing
    found <- stats::nlminb(par, value, control = list(
      rel.tol = 1e-13, x.tol = 1e-10, eval.max = 5000, iter.max = 2000
    ))
    gained <- best - found$objective
    if (gained > 0) {
      par <- found$par
      best <- found$objective
    }
    if (gained < 1e-8) break
  }
  null <- p == 1 && abs(par[theta]) < 1e-3
  if (null) par[theta] <- 0
  move <- if (null) seq_along(par)[-theta] else seq_along(par)
  at <- function(q) value(replace(par, move, q))
  for (iteration in 1:4) {
    g <- numDeriv::grad(at, par[move])
    H <- numDeriv::hessian(at, par[move])
    step <- solve(H, g)
    new <- replace(par, move, par[move] - step)
    if (value(new) > value(par) + 1e-9) break
    par <- new
    if (max(abs(step) / (1 + abs(par[move]))) < 1e-8) break
  }
  stopifnot(eigen(H, TRUE, TRUE)$values > 0)
  se <- rep(NA_real_, length(par))
  se[move] <- sqrt(diag(solve(H)))
  Lambda <- matrix(0, p, p)
  Lambda[lower.tri(Lambda, TRUE)] <- par[theta]
  S <- tcrossprod(Lambda)
  names <- paste0(m$name, ".", colnames(m$z))
  mark <- list(
    by = sprintf("brute force, %d nodes", K), logLik = -value(par),
    fixef = stats::setNames(par[seq_len(k)], colnames(m$X)),
    sd = stats::setNames(sqrt(diag(S)), names),
    cor = if (p > 1) {
      pair <- paste(c(m$name, colnames(m$z)), collapse = ".")
      stats::setNames(stats::cov2cor(S)[2, 1], pair)
    },
    se = stats::setNames(se[seq_len(k)], colnames(m$X))
  )
  if (m$scale) {
    mark$dispersion <- c("(Intercept)" = par[length(par)])
    mark$dispersion_se <- c("(Intercept)" = se[length(par)])
  }
  mark
}

brute_start <- function(record, case, data) {
  m <- pieces(case, data)
  sd <- unlist(record$sd)
  if (length(sd) == 2) {
    cor <- unlist(record$cor)[1]
    sd <- c(sd[1], cor * sd[2], sqrt(1 - cor^2) * sd[2])
  }
  c(unlist(record$fixef), pmax(abs(sd), 0.05)[seq_along(sd)] * sign(sd + (sd == 0)),
    if (m$scale) log(abs(record$phi %||% record$sigma^2 %||% 1)))
}

# Standard errors with beta in the mode: the conditional information at the estimates
joint_se <- function(case, data, mark) {
  if (nrow(data) > 10000) return(NULL)
  terms <- lme4::findbars(case$formula)
  m <- fixed_part(case, data)
  m$family <- case$family
  m$scale <- !is.null(mark$dispersion)
  density <- density_of(m, if (m$scale) exp(mark$dispersion[[1]]))
  ZL <- do.call(cbind, lapply(terms, function(bar) {
    z <- stats::model.matrix(eval(call("~", bar[[2]])), data)
    name <- gsub(" ", "", deparse(bar[[3]]))
    sd <- mark$sd[paste0(name, ".", colnames(z))]
    R <- diag(length(sd))
    if (length(sd) > 1) {
      R[lower.tri(R)] <- mark$cor[startsWith(names(mark$cor), paste0(name, "."))]
      R[upper.tri(R)] <- t(R)[upper.tri(R)]
    }
    S <- outer(sd, sd) * R
    Lambda <- t(chol(S + diag(1e-14, length(sd))))
    oracle_columns(eval(bar[[3]], data), z, Lambda)
  }))
  value <- oracle_laplace(density, m$X, mark$fixef, ZL, m$offset, "joint")
  stopifnot(abs(value / -2 - mark$logLik) < 1e-6)
  Y <- cbind(ZL, m$X)
  w <- attr(density(as.numeric(m$offset + Y %*% attr(value, "v"))), "w")
  M <- crossprod(Y, w * Y) + diag(rep(c(1, 0), c(ncol(ZL), ncol(m$X))))
  stats::setNames(sqrt(diag(solve(M)))[-seq_len(ncol(ZL))], colnames(m$X))
}

# Symmetric Laplace is quadrature with one node
brute_laplace <- c("cbpp_cauchit.A1", "pois_sqrt.A1")

make_mark <- function(id, record) {
  case <- reference_case(record)
  data <- reference_glmm_data(record$data, data_file)
  if (id %in% brute_laplace) {
    return(brute_mark(case, data, brute_start(record, case, data), 1))
  }
  if (case$nAGQ > 1) return(brute_mark(case, data, brute_start(record, case, data), case$nAGQ))
  mark <- tmb_mark(case, data)
  if (case$nAGQ == 0) {
    mark$se <- joint_se(case, data, mark) %||%
      stats::setNames(unlist(record$se), names(mark$fixef)) # the large model: lme4's
  }
  mark
}

# glmmTMB's Laplace REML for the models of test-glmm-integrals.R
reml_cases <- list(
  reml.cbpp = "cbpp.A1", reml.cbpp_probit = "cbpp_probit.A1", reml.grouse = "grouse.A1",
  reml.gam_sleep = "gam_sleep.A1", reml.salamanders_nb = "nb_salamanders", reml.salam = "salam.A1",
  reml.gas_beta = "tmb.gas_beta"
)

records <- jsonlite::fromJSON(fixture, simplifyVector = FALSE)$models
# Row 15 of the acceptance tests, on the probe set: lme4's figures are not maximum likelihood
probe_case <- list(formula = v ~ A + x + (1 | g), family = stats::Gamma("log"), nAGQ = 1)
probe_data <- transform(
  utils::read.csv("tests/testthat/fixtures/A_probe.csv"), A = factor(A), g = factor(g),
  v = exp(y / 3)
)

all_ids <- c(names(records), names(reml_cases), "row15")
wanted <- commandArgs(trailingOnly = TRUE)
marks <- list()
if (file.exists(marks_file)) marks <- jsonlite::fromJSON(marks_file, simplifyVector = FALSE)
for (id in all_ids) {
  if (length(wanted) && !id %in% wanted) next
  began <- Sys.time()
  mark <- tryCatch({
    if (id == "row15") {
      tmb_mark(probe_case, probe_data)
    } else if (id %in% names(reml_cases)) {
      record <- records[[reml_cases[[id]]]]
      case <- reference_case(record)
      case$REML <- TRUE
      tmb_mark(case, reference_glmm_data(record$data, data_file))
    } else {
      make_mark(id, records[[id]])
    }
  }, error = function(e) {
    message(id, ": ", conditionMessage(e))
    NULL
  })
  if (is.null(mark)) next
  marks[[id]] <- lapply(mark, function(x) if (length(names(x))) as.list(x) else x)
  cat(sprintf("%-20s %-26s %.6f  (%.1f s)\n", id, mark$by, mark$logLik,
              as.numeric(Sys.time() - began, units = "secs")))
}
marks <- marks[intersect(all_ids, names(marks))]
jsonlite::write_json(marks, marks_file, auto_unbox = TRUE, digits = 12, pretty = 1)
