# Designs drawn at random: crossed, nested, unbalanced, with weights and offsets, variances of zero.
# lme4's own criterion is the judge: it must agree with ours, and nothing near or found by lme4 may
# be lower.

random_design <- function(seed) {
  set.seed(seed)
  n <- sample(c(40, 80, 150), 1L)
  draw <- function(k) factor(sample(k, n, TRUE, if (runif(1) < 0.4) rexp(k)^2 + 1e-3))
  d <- data.frame(
    g = draw(sample(4:(n %/% 5), 1L)), h = draw(sample(4:10, 1L)), f = factor(sample(3, n, TRUE)),
    s = factor(sample(4, n, TRUE)), x = rnorm(n) + sample(c(0, 3), 1L), z = rnorm(n),
    w = rexp(n) + 0.01, o = 5 * rnorm(n)
  )
  sd <- sample(c(0, 0.1, 0.5, 1, 3), 5L, TRUE)
  effect <- function(group, sd) sd * rnorm(nlevels(group))[group]
  d$y <- 2 + d$x + effect(d$g, sd[1L]) + effect(d$g, sd[2L]) * d$x + effect(d$h, sd[3L]) +
    effect(d$h, sd[4L]) * d$z + effect(d$g:d$s, sd[5L]) + rnorm(n)
  if (runif(1) > 0.25) d$w[] <- 1
  if (runif(1) > 0.25) d$o[] <- 0
  fixed <- sample(c("1", "x", "x + f", "x * z", "0 + f", "poly(z, 2)", "0"), 1L)
  random <- sample(c(
    "(1 | g)", "(x | g)", "(0 + x | g)", "(x + z | g)", "(z || h)", "(1 | g/s)", "(f | h)",
    "(1 | g) + (1 | s)", "(x | g) + (z | h)", "(x | g) + (1 | h)", "(x | g) + (x | h)",
    "(1 | g/s) + (1 | h)", "(x | g) + (1 | g:s)", "(0 + f | g) + (1 | h)",
    "(1 | g) + (1 | h) + (1 | s) + (1 | g:s)", "(x + z | g) + (x | h)"
  ), 1L)
  formula <- stats::as.formula(paste("y ~", fixed, "+", random))
  # lme4's REML criterion is not defined without fixed effects: it reads memory never written.
  list(formula = formula, data = d, REML = runif(1) < 0.6 && fixed != "0")
}

judge <- function(case) {
  control <- lme4::lmerControl(calc.derivs = FALSE, check.conv.singular = "ignore")
  run <- function(...) {
    suppressMessages(suppressWarnings(lme4::lmer(case$formula, case$data,
      REML = case$REML, weights = w, offset = o, control = control, ...
    )))
  }
  fit <- run()
  list(
    criterion = if (case$REML) lme4::REMLcrit(fit) else stats::deviance(fit),
    value = run(devFunOnly = TRUE), lower = lme4::getME(fit, "lower"),
    names = names(lme4::getME(fit, "theta"))
  )
}

# Our parameters in the order of lme4's, which splits (z || h) into terms of its own.
to_judge <- function(fit, lme4) {
  theta <- fit$theta
  names <- sub("^([^.]*)\\.[0-9]+\\.", "\\1.", names(theta))
  unname(theta[match(lme4$names, names)])
}

# The lowest value of the judge around theta, at distances from fine to coarse.
lowest_around <- function(lme4, theta) {
  steps <- c(1e-4, 1e-3, 0.01, 0.1)
  near <- unlist(lapply(seq_along(theta), function(k) {
    lapply(c(-steps, steps), function(step) replace(theta, k, theta[k] + step))
  }), recursive = FALSE)
  mixed <- lapply(rep(steps, 5L), function(step) theta + step * rnorm(length(theta)))
  min(vapply(c(near, mixed), function(t) lme4$value(pmax(t, lme4$lower)), 0))
}

test_that("random designs: criterion, optimality and singularity agree with lme4", {
  skip_if_not_installed("lme4")
  for (seed in c(1:38, 40)) {
    case <- random_design(seed)
    label <- paste0("seed ", seed, ", ", deparse1(case$formula))
    fit <- quietly(lmm(case$formula, case$data, REML = case$REML, weights = w, offset = o))
    lme4 <- judge(case)
    slack <- 1e-6 + 1e-12 * abs(lme4$criterion)
    expect_identical(fit$convergence$status, "converged", label = label)
    expect_lte(fit$criterion, lme4$criterion + slack, label = label)
    theta <- to_judge(fit, lme4)
    at <- lme4$value(theta)
    expect_equal(fit$criterion, at, tolerance = 1e-7, label = label)
    expect_gte(lowest_around(lme4, theta), at - slack, label = label)
    # Far from the boundary nothing is reported, and what is reported is there.
    Sigma <- lapply(fit$Lambda, function(L) svd(diag(1 / pmax(sqrt(rowSums(L^2)), 1e-300),
                                                     nrow(L)) %*% L)$d)
    smallest <- min(unlist(Sigma), unlist(lapply(fit$Lambda, function(L) sqrt(rowSums(L^2)))))
    if (is_singular(fit)) expect_lt(smallest, 1e-3, label = label)
    if (smallest > 1e-3) expect_false(is_singular(fit), label = label)
  }
})

kinds <- function() {
  set.seed(1)
  n <- 120
  d <- data.frame(
    g = factor(sample(12, n, TRUE)), h = sample(letters[1:6], n, TRUE), x = rnorm(n), z = runif(n),
    f = factor(sample(c("a", "b", "c"), n, TRUE)), w = rexp(n) + 0.1, o = rnorm(n),
    l = sample(c(TRUE, FALSE), n, TRUE)
  )
  d$y <- 1 + d$x + rnorm(12)[d$g] + 0.7 * rnorm(12)[d$g] * d$x + rnorm(n)
  d[["my var"]] <- d$x
  d$twice <- 2 * d$x
  d$M <- cbind(u = d$x, v = d$z)
  holes <- d
  holes$x[c(3, 7)] <- NA
  holes$y[11] <- NA
  list(data = d, fits = quietly(list(
    no_random = lmm(y ~ x, d), nothing = lmm(y ~ 0, d), p0 = lmm(y ~ 0 + (1 | g), d),
    p0_slopes = lmm(y ~ 0 + (x | g) + (1 | h), d), intercept = lmm(y ~ 1 + (1 | g), d),
    aliased = lmm(y ~ x + twice + f + (x | g), d), weights = lmm(y ~ x + (x | g), d, weights = w),
    offset = lmm(y ~ x + (1 | g), d, offset = o), both = lmm(y ~ x + f, d, weights = w, offset = o),
    exclude = lmm(y ~ x + (x | g), holes, na.action = na.exclude),
    subset = lmm(y ~ x + (1 | g), d, subset = z > 0.3), double_bar = lmm(y ~ x + (x + f || g), d),
    cs = lmm(y ~ x + cs(0 + f | g), d), ar1 = lmm(y ~ x + ar1(0 + f | g), d),
    matrix = lmm(y ~ M + (M | g), d), ns = lmm(y ~ splines::ns(z, 3) + (1 | g), d),
    log = lmm(y ~ log(z) + I(x^2) + (log(z) | h), d), logical = lmm(y ~ l * f + (l | h), d),
    blanks = lmm(y ~ `my var` + (`my var` | g), d), singular = lmm(y ~ x + (x + z | h), d),
    expression = lmm(y ~ x + (1 | factor(h)) + (1 | paste(g, l)), d)
  )))
}

test_that("every method answers on every kind of fit, with finite numbers", {
  kinds <- kinds()
  d <- kinds$data
  fresh <- d[1:7, ]
  fresh$g <- factor(c("1", "new", "3", "4", NA, "6", "7"))
  fresh$h <- c("a", "new", "b", "c", "d", "e", NA)
  methods <- list(
    summary = function(f) coef(summary(f))[setdiff(f$column_names, f$aliased), , drop = FALSE],
    print = function(f) capture.output(print(f), print(summary(f)), print(VarCorr(f))),
    correlation = function(f) capture.output(print(summary(f, "residual", correlation = TRUE))),
    z_tests = function(f) capture.output(print(summary(f, "none"))),
    ranef = function(f) as.data.frame(ranef(f))[c("condval", "condsd")],
    coef = function(f) unlist(coef(f, "group")), vcov = function(f) vcov(f, full = TRUE),
    components = function(f) as.matrix(components(f)$Z), sizes = function(f) c(AIC(f), BIC(f)),
    both = function(f) c(logLik(f, REML = TRUE), logLik(f, REML = FALSE), extractAIC(f)),
    predict = function(f) na.omit(c(predict(f), predict(f, re.form = NA), residuals(f, "scaled"))),
    newdata = function(f) predict(f, d[1:5, ], se.fit = TRUE),
    interval = function(f) predict(f, d[1:5, ], interval = "prediction"),
    new_levels = function(f) predict(f, fresh, allow.new.levels = TRUE, se.fit = TRUE),
    no_rows = function(f) stopifnot(identical(length(predict(f, d[0L, ])), 0L)),
    simulate = function(f) na.omit(simulate(f, 2, seed = 1)), anova = function(f) anova(f)$DenDF,
    refit = function(f) refit(f, simulate(f, 1, seed = 2)[[1L]])$criterion,
    update = function(f) c(update(f, REML = FALSE)$criterion, update(f, . ~ . - 1)$criterion)
  )
  for (fit in names(kinds$fits)) {
    for (method in names(methods)) {
      label <- paste(method, "of", fit)
      value <- tryCatch(quietly(methods[[method]](kinds$fits[[fit]])), error = identity)
      reason <- if (inherits(value, "error")) conditionMessage(value) else "none"
      expect_identical(reason, "none", label = label)
      numbers <- unlist(value)
      if (is.numeric(numbers)) expect_true(all(is.finite(numbers)), label = label)
    }
  }
})

test_that("a fit needs nothing but itself: data gone, saved, made in functions", {
  make <- function(formula, weights_of) {
    e <- transform(sleepstudy, v = weights_of(Days))
    lmm(formula, e, weights = v)
  }
  formula <- Reaction ~ Days + (Days | Subject)
  fit <- make(formula, function(days) 1 + days)
  file <- tempfile()
  on.exit(unlink(file))
  saveRDS(fit, file)
  again <- readRDS(file)
  expect_equal(coef(summary(again)), coef(summary(fit)), tolerance = 1e-12)
  expect_equal(predict(again, sleepstudy[1:3, ], se.fit = TRUE)$se.fit,
               predict(fit, sleepstudy[1:3, ], se.fit = TRUE)$se.fit, tolerance = 1e-12)
  expect_equal(refit(again, fit$y)$criterion, fit$criterion, tolerance = 1e-10)
  called <- do.call(lmm, list(formula, sleepstudy))
  applied <- lapply(list(formula), function(f) lmm(f, sleepstudy))[[1L]]
  expect_equal(called$criterion, applied$criterion, tolerance = 1e-13)
  expect_equal(update(applied, . ~ . - Days)$n, 180)
})

test_that("standard deviations, standard errors and tests do not depend on the units", {
  formula <- Reaction ~ Days + (Days | Subject)
  base <- lmm(formula, sleepstudy)
  for (k in c(1e-300, 1e-200, 1e200, 1e300)) {
    fit <- lmm(formula, transform(sleepstudy, Reaction = k * Reaction))
    table <- coef(summary(fit))
    table[, 1:2] <- table[, 1:2] / k
    expect_equal(table, coef(summary(base)), tolerance = 1e-6)
    expect_equal(as.data.frame(VarCorr(fit))$sdcor / c(k, k, 1, k),
                 as.data.frame(VarCorr(base))$sdcor, tolerance = 1e-5)
    expect_equal(anova(fit)[["F value"]], anova(base)[["F value"]], tolerance = 1e-6)
    expect_equal(as.numeric(logLik(fit, REML = FALSE)),
                 as.numeric(logLik(base, REML = FALSE)) - 180 * log(k), tolerance = 1e-9)
  }
  weighted <- lmm(formula, transform(sleepstudy, v = 1 + Days), weights = v)
  for (k in c(1e-300, 1e300)) {
    fit <- lmm(formula, transform(sleepstudy, v = k * (1 + Days)), weights = v)
    expect_equal(coef(summary(fit)), coef(summary(weighted)), tolerance = 1e-6)
  }
})

test_that("a term of several columns keeps its degrees of freedom in any units", {
  chisq <- vapply(c(1, 100, 1e5), function(k) {
    fit <- suppressWarnings(
      lmm(Reaction ~ poly(u, 3, raw = TRUE) + (Days | Subject), transform(sleepstudy, u = k * Days))
    )
    unlist(anova(fit, test = "Chisq")[2L, c("Chisq", "Df")])
  }, numeric(2L))
  expect_equal(chisq["Df", ], c(3, 3, 3))
  expect_equal(chisq["Chisq", ], rep(chisq[["Chisq", 1L]], 3L), tolerance = 1e-5)
})

test_that("a singular fit is the lowest of the optima, not the nearest", {
  skip_if_not_installed("lme4")
  for (seed in c(39, 92, 325)) {
    case <- random_design(seed)
    fit <- quietly(lmm(case$formula, case$data, REML = case$REML, weights = w, offset = o))
    expect_lte(fit$criterion, judge(case)$criterion + 1e-5, label = paste("seed", seed))
  }
})

structured_cases <- function() {
  set.seed(11)
  cases <- list()
  for (i in 1:13) {
    T <- sample(3:5, 1); J <- sample(c(8, 20, 40), 1)
    d <- expand.grid(t = factor(1:T), g = factor(1:J), r = 1:sample(1:3, 1))
    d <- d[runif(nrow(d)) < 0.85, ]; n <- nrow(d)
    rho <- sample(c(-.6, 0, .5, .9, .99), 1); sd <- sample(c(0, .3, 1, 3), 1)
    R <- rho^abs(outer(1:T, 1:T, "-"))
    if (i %% 2) { R[] <- max(rho, -.9 / (T - 1)); diag(R) <- 1 }
    B <- sd * matrix(rnorm(J * T), J) %*% chol(R + 1e-9 * diag(T))
    if (i %% 3 == 0) B <- B %*% diag(seq(.3, 2, length.out = T))
    d$x <- rnorm(n); d$y <- d$x + B[cbind(as.integer(d$g), as.integer(d$t))] + rnorm(n)
    cases[[i]] <- d
  }
  list(
    list(formula = y ~ x + ar1(0 + t | g), data = cases[[2]]),
    list(formula = y ~ x + cs(0 + t | g), data = cases[[8]]),
    list(formula = y ~ x + cs(0 + t | g, hom = TRUE), data = cases[[13]]),
    list(formula = y ~ x + ar1(0 + t | g), data = cases[[13]]),
    list(formula = y ~ x + cs(0 + t | g), data = cases[[13]])
  )
}

test_that("a vanished cs() or ar1() variance is zero for every correlation", {
  for (case in structured_cases()) {
    f <- objective(design(case$formula, case$data), REML = FALSE)
    fit <- suppressWarnings(quietly(lmm(case$formula, case$data, REML = FALSE)))
    rho <- grepl("rho", f$names)
    for (start in list(c(1, -0.15), c(1, 0.3), c(0.2, 0.8))) {
      other <- optimum(f, ifelse(rho, start[2L], start[1L]))
      expect_lte(fit$criterion, other$criterion + 1e-5)
    }
  }
})

test_that("slow models converge", {
  skip_if_not_installed("nlme")
  s <- as.data.frame(nlme::Soybean)
  s$Plot <- factor(as.character(s$Plot))
  fit <- quietly(lmm(log(weight) ~ Time * Variety + (Time + I(Time^2) | Plot), s))
  expect_identical(fit$convergence$status, "converged")
  expect_lt(fit$convergence$evaluations, 100) # singular: a second start is tried
  skip_if_not_installed("mlmRev")
  fit <- quietly(lmm(attain ~ sex + social + (verbal | primary) + (verbal + sex | second), mlmRev::ScotsSec))
  expect_identical(fit$convergence$status, "converged")
  expect_lte(fit$criterion, 14864.7896) # lme4, tight bobyqa: 14866.487
})
