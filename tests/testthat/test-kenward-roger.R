plain <- function(d) {
  d <- as.data.frame(d)
  attributes(d) <- attributes(d)[c("names", "row.names", "class")]
  d
}
ddf_records <- function() {
  skip_if_not_installed("jsonlite")
  jsonlite::fromJSON(test_path("fixtures", "ddf.json"))
}
ddf_data <- function(name) {
  parts <- strsplit(gsub("^df\\(|\\)$", "", name), "::")[[1]]
  skip_if_not_installed(parts[1])
  place <- new.env()
  utils::data(list = parts[2], package = parts[1], envir = place)
  plain(if (exists(parts[2], place)) place[[parts[2]]] else getExportedValue(parts[1], parts[2]))
}
unbalanced_machines <- function() plain(nlme::Machines)[-c(1, 5, 20, 33), ]
probe_data <- function() {
  d <- utils::read.csv(test_path("fixtures", "A_probe.csv"))
  d[c("A", "B", "g")] <- lapply(d[c("A", "B", "g")], factor)
  d
}

test_that("published df, standard errors and F tests by both methods (SEEDS 59)", {
  for (record in ddf_records()) {
    fit <- quietly(lmm(as.formula(record$formula), ddf_data(record$data)))
    kr <- coef(summary(fit, ddf = "kenward-roger"))
    expect_equal(unname(kr[, "df"]), record$coef_kr_df, tolerance = 1e-5)
    expect_equal(unname(kr[, "Std. Error"]), record$coef_kr_se, tolerance = 1e-6)
    expect_equal(unname(coef(summary(fit))[, "df"]), record$coef_satt_df, tolerance = 1e-5)
    table <- anova(fit, ddf = "Kenward-Roger")
    expect_equal(table$`F value`, record$anova_kr$F, tolerance = 1e-5)
    expect_equal(table$DenDF, as.numeric(record$anova_kr$dendf), tolerance = 1e-5)
    table <- anova(fit)
    expect_equal(table$`F value`, record$anova_satt$F, tolerance = 1e-5)
    expect_equal(table$DenDF, as.numeric(record$anova_satt$dendf), tolerance = 1e-5)
  }
})

test_that("joint tests: sleepstudy, Machines without four rows", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  joint <- inference(fit, "kenward")$joint(diag(2))
  expect_equal(joint$den, 16, tolerance = 1e-10)
  expect_equal(joint$scale, 16 / 17, tolerance = 1e-10)
  expect_equal(joint$statistic, joint$scale * joint$chisq / 2)
  machines <- lmm(score ~ Machine + (1 | Worker) + (1 | Worker:Machine), unbalanced_machines())
  test <- inference(machines, "kenward")
  expect_equal(test$df(diag(3))[2], 10.02587, tolerance = 1e-6)
  expect_equal(anova(machines, ddf = "kenward")$DenDF, 9.999771, tolerance = 1e-6)
})

test_that("SEEDS 8: F tests of the probe", {
  fit <- lmm(y ~ A + B + x + A:x + (1 | g), probe_data())
  intercept <- inference(fit, "kenward")$joint(matrix(c(1, 0, 0, 0, 0, 0), 1))
  expect_equal(intercept$statistic, 36.00733, tolerance = 1e-4)
  expect_equal(intercept$den, 15.34687, tolerance = 1e-4)
  expect_equal(intercept$p, 2.20627e-5, tolerance = 1e-4)
  table <- anova(fit, ddf = "kenward")
  expect_equal(table["B", "F value"], 55.13064, tolerance = 1e-4)
  expect_equal(table["B", "DenDF"], 584.08367, tolerance = 1e-4)
})

# The method as published, with matrices of the size of the rows and derivatives of V by number.
dense_kenward_roger <- function(fit) {
  w <- if (is.null(fit$weights)) rep(1, fit$n) else fit$weights
  X <- fit$X * sqrt(w)
  parts <- lapply(fit$random, function(term) {
    z <- if (is.null(term$z)) matrix(1, fit$n, 1) else term$z
    levels <- diag(length(term$levels))[term$codes, ]
    if (!is.null(term$kernel)) levels <- levels %*% term$kernel$loading
    z <- sqrt(w) * z
    list(z = z, same = tcrossprod(levels), p = ncol(z), term = term)
  })
  spread <- function(part, S) (part$z %*% S %*% t(part$z)) * part$same
  V <- diag(fit$n)
  directions <- list()
  for (t in seq_along(parts)) {
    part <- parts[[t]]
    S <- tcrossprod(fit$Lambda[[t]])
    V <- V + spread(part, S)
    directions <- c(directions, lapply(sigma_directions(part, S), spread, part = part))
  }
  directions <- c(directions, list(diag(fit$n)))
  inverse <- solve(V)
  phi <- solve(t(X) %*% inverse %*% X)
  k <- length(directions)
  by <- lapply(directions, function(D) inverse %*% D)
  P <- lapply(by, function(B) -t(X) %*% B %*% inverse %*% X)
  Q <- function(i, j) t(X) %*% by[[i]] %*% by[[j]] %*% inverse %*% X
  information <- matrix(0, k, k)
  for (i in 1:k) for (j in 1:k) {
    information[i, j] <- sum(by[[i]] * t(by[[j]])) - 2 * sum(phi * Q(i, j)) +
      sum((phi %*% P[[i]]) * t(phi %*% P[[j]]))
  }
  W <- 2 * solve(information)
  sum <- 0
  for (i in 1:k) for (j in 1:k) sum <- sum + W[i, j] * (Q(i, j) - P[[i]] %*% phi %*% P[[j]])
  A <- vapply(seq_len(nrow(phi)), function(r) {
    slope <- vapply(P, function(P) (phi %*% P %*% phi)[r, r] / phi[r, r], 0)
    drop(slope %*% W %*% slope)
  }, 0)
  list(vcov = fit$sigma^2 * (phi + 2 * phi %*% sum %*% phi), df = 2 / A)
}
sigma_directions <- function(part, S) {
  p <- part$p
  unit <- function(a, b) {
    E <- matrix(0, p, p)
    E[a, b] <- E[b, a] <- 1
    E
  }
  term <- part$term
  if (term$structure == "us" || p == 1) {
    return(unlist(lapply(1:p, function(b) lapply(b:p, unit, b = b)), recursive = FALSE))
  }
  if (term$structure == "diag") {
    return(if (term$hom) list(diag(p)) else lapply(1:p, function(i) unit(i, i)))
  }
  sd <- sqrt(diag(S))
  rho <- S[1, 2] / (sd[1] * sd[2])
  power <- if (term$structure == "ar1") abs(outer(1:p, 1:p, "-")) else 1 - diag(p)
  build <- function(theta) {
    sd <- theta[seq_len(length(theta) - 1)]
    rep_len(sd, p) %o% rep_len(sd, p) * theta[length(theta)]^power
  }
  theta <- c(if (term$hom) sd[1] else sd, rho)
  lapply(seq_along(theta), function(i) {
    step <- replace(0 * theta, i, 1e-5)
    (build(theta + step) - build(theta - step)) / 2e-5
  })
}

test_that("every structure, weights, offsets and kernels: the dense formulas", {
  d <- small_data(n = 120)
  K <- exp(-as.matrix(dist(1:12)) / 3)
  dimnames(K) <- list(1:12, 1:12)
  formulas <- c(structured_formulas, list(
    cs_het = y ~ x + cs(0 + t | g), ar1_het = y ~ x + ar1(0 + t | g),
    ar1_hom = y ~ x + ar1(0 + t | g, hom = TRUE), three_columns = y ~ poly(x, 2) + (1 | g) + (1 | h)
  ))
  for (formula in formulas[!duplicated(vapply(formulas, deparse1, ""))]) {
    fit <- quietly(lmm(formula, d, weights = w, offset = o))
    # Where a correlation is at its limit, or nothing is left, derivatives are not unique.
    if (is_singular(fit)) next
    ours <- inference(fit, "kenward")
    dense <- dense_kenward_roger(fit)
    expect_equal(unname(ours$vcov), unname(dense$vcov), tolerance = 1e-6)
    expect_equal(ours$df(diag(ncol(fit$X))), dense$df, tolerance = 1e-5)
  }
})

test_that("kernels of levels: the dense formulas", {
  d <- small_data(n = 120)
  K <- exp(-as.matrix(dist(1:12)) / 3)
  dimnames(K) <- list(levels(d$g), levels(d$g))
  fit <- quietly(lmm(y ~ x + (1 | g) + (1 | h), d, kernel = list(g = K)))
  ours <- inference(fit, "kenward")
  dense <- dense_kenward_roger(fit)
  expect_equal(unname(ours$vcov), unname(dense$vcov), tolerance = 1e-8)
  expect_equal(ours$df(diag(2)), dense$df, tolerance = 1e-8)
})

test_that("singular fits and fits without random effects are those of pbkrtest and lm", {
  skip_if_not_installed("pbkrtest")
  skip_if_not_installed("lme4")
  fit <- quietly(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2))
  expect_equal(unname(coef(summary(fit, ddf = "kenward"))[, "df"]), 5, tolerance = 1e-10)
  d <- small_data(seed = 4, n = 80)
  d$y <- d$x + rnorm(80)
  fit <- quietly(lmm(y ~ x + (x | g), d))
  expect_true(is_singular(fit))
  theirs <- suppressMessages(lme4::lmer(y ~ x + (x | g), d, control = lme4::lmerControl(
    optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10)
  )))
  expect_equal(unname(inference(fit, "kenward")$vcov), unname(as.matrix(pbkrtest::vcovAdj(theirs))),
    tolerance = 1e-4
  )
  plain <- quietly(lmm(Reaction ~ Days, sleepstudy))
  expect_identical(
    coef(summary(plain, ddf = "kenward")), coef(summary(plain, ddf = "residual"))
  )
})

test_that("the test does not depend on rows, units or coding; weights are replicated rows", {
  d <- probe_data()
  fit <- lmm(y ~ B + x + (1 | g), d)
  L <- rbind(c(0, 1, 0, 0), c(0, 0, 1, 0))
  test <- inference(fit, "kenward")$joint(L)
  other <- inference(fit, "kenward")$joint(rbind(c(1, 2), c(-3, 1e4), c(2, 4)) %*% L)
  expect_equal(other, test, tolerance = 1e-10)
  d$x <- 1e6 * d$x + 1e6
  d$y <- d$y * 1e-200
  again <- lmm(y ~ B + x + (1 | g), d[sample(nrow(d)), ], contrasts = list(B = contr.helmert))
  expect_equal(inference(again, "kenward")$joint(L)$statistic, test$statistic, tolerance = 1e-6)
  expect_equal(inference(again, "kenward")$joint(L)$den, test$den, tolerance = 1e-6)
})

test_that("what the method cannot do is said", {
  by_ml <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy, REML = FALSE)
  expect_error(summary(by_ml, ddf = "kenward"), "REML", class = "partialpool_error_argument")
  expect_error(anova(by_ml, ddf = "kenward"), class = "partialpool_error_argument")
  expect_error(abort_crossed(20000), "satterthwaite", class = "partialpool_error_argument")
})

test_that("the summary names the method", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  lines <- capture.output(print(summary(fit, ddf = "kenward")))
  expect_true("Fixed effects (Kenward-Roger):" %in% lines)
})

test_that("an exact F test with two denominator degrees of freedom is exact", {
  set.seed(4)
  for (groups in c(5, 6, 7)) {
    treatments <- groups - 2
    d <- data.frame(g = factor(rep(seq_len(groups), each = 3)))
    d$t <- factor(letters[(as.integer(d$g) - 1) %% treatments + 1])
    d$y <- rnorm(nrow(d)) + 3 * rnorm(groups)[d$g]
    fit <- lmm(y ~ t + (1 | g), d)
    if (is_singular(fit)) next
    means <- stats::aggregate(y ~ g + t, d, mean)
    exact <- anova(lm(y ~ t, means))
    table <- anova(fit, ddf = "kenward-roger")
    expect_equal(table[["DenDF"]], 2, tolerance = 1e-4)
    expect_equal(table[["F value"]], exact[["F value"]][1], tolerance = 1e-4)
    expect_equal(table[["Pr(>F)"]], exact[["Pr(>F)"]][1], tolerance = 1e-4)
  }
})

test_that("without coefficients, or where variances are not determined, nothing is made up", {
  d <- data.frame(g = gl(6, 4))
  set.seed(1)
  d$y <- rnorm(24) + rnorm(6)[d$g]
  none <- summary(lmm(y ~ 0 + (1 | g), d), ddf = "kenward-roger")
  expect_identical(nrow(none$coefficients), 0L)
  aliased <- data.frame(g = gl(3, 3), y = rnorm(9) + rep(rnorm(3), each = 3))
  aliased$cf <- factor(letters[aliased$g])
  fit <- suppressWarnings(quietly(lmm(y ~ cf + (1 | g), aliased)))
  table <- tryCatch(
    anova(fit, ddf = "kenward-roger"), partialpool_error_argument = function(e) NULL
  )
  if (!is.null(table)) expect_true(is.na(table[["F value"]]) || table[["F value"]] >= 0)
  expect_true(is.null(table) || is.na(table$DenDF) || table$DenDF > 0)
})
