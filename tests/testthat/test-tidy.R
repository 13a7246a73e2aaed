days <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
herds <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)

# lme4's default optimiser stops at about four digits of the variances.
tight <- function() lme4::lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14))

as_plain <- function(x) as.data.frame(x)

# Same columns in the same order, same rows, same numbers.
expect_same_table <- function(ours, theirs, tolerance = 1e-5) {
  expect_identical(names(ours), names(theirs))
  expect_equal(as_plain(ours), as_plain(theirs), tolerance = tolerance, ignore_attr = TRUE)
}

test_that("tidy() of a linear fit has broom.mixed's rows, columns and numbers for lmerTest", {
  skip_if_not_installed("broom.mixed")
  skip_if_not_installed("lmerTest")
  reference <- lmerTest::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = tight())
  tidy_reference <- function(...) broom.mixed::tidy(reference, ...)
  expect_same_table(tidy(days), tidy_reference())
  expect_same_table(
    tidy(days, "fixed", conf.int = TRUE, conf.level = 0.9),
    tidy_reference(effects = "fixed", conf.int = TRUE, conf.level = 0.9)
  )
  expect_same_table(
    tidy(days, "fixed", ddf = "kenward-roger", conf.int = TRUE),
    tidy_reference(effects = "fixed", ddf.method = "Kenward-Roger", conf.int = TRUE)
  )
  expect_identical(
    tidy(days, ddf.method = "Kenward-Roger"), tidy(days, ddf = "kenward-roger")
  )
  expect_same_table(
    tidy(days, c("fixed", "ran_pars"), scales = c(NA, "vcov")),
    tidy_reference(effects = c("fixed", "ran_pars"), scales = c(NA, "vcov"))
  )
  expect_same_table(
    tidy(days, "ran_vals", conf.int = TRUE), tidy_reference(effects = "ran_vals", conf.int = TRUE)
  )
  expect_same_table(tidy(days, "ran_coefs"), tidy_reference(effects = "ran_coefs"))
  expect_same_table(
    tidy(days, "ran_pars", ran_prefix = c("s", "r")),
    tidy_reference(effects = "ran_pars", ran_prefix = c("s", "r"))
  )
})

test_that("profile intervals are those of broom.mixed for lme4", {
  skip_if_not_installed("broom.mixed")
  skip_if_not_installed("lme4")
  # Two random intercepts: the profile has a smooth maximum.
  reference <- lme4::lmer(strength ~ 1 + (1 | batch) + (1 | sample), lme4::Pastes,
    control = tight()
  )
  ours <- lmm(strength ~ 1 + (1 | batch) + (1 | sample), lme4::Pastes)
  theirs <- suppressMessages(suppressWarnings(
    broom.mixed::tidy(reference, conf.int = TRUE, conf.method = "profile", quiet = TRUE)
  ))
  found <- tidy(ours, conf.int = TRUE, conf.method = "profile", ddf = "none")
  expect_identical(found$term, theirs$term)
  # lme4 interpolates its profile by a spline.
  expect_equal(found$conf.low, theirs$conf.low, tolerance = 1e-3)
  expect_equal(found$conf.high, theirs$conf.high, tolerance = 1e-3)
  profiled <- profile(ours)
  expect_equal(
    tidy(ours, conf.int = TRUE, conf.method = "profile", profile = profiled),
    tidy(ours, conf.int = TRUE, conf.method = "profile"), tolerance = 1e-4
  )
})

test_that("tidy() of a generalised fit has broom.mixed's table for glmer", {
  skip_if_not_installed("broom.mixed")
  skip_if_not_installed("lme4")
  reference <- lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), lme4::cbpp,
    binomial
  )
  theirs <- broom.mixed::tidy(reference, exponentiate = TRUE, conf.int = TRUE)
  ours <- tidy(herds, exponentiate = TRUE, conf.int = TRUE)
  expect_identical(names(ours), names(theirs))
  expect_identical(ours[c("effect", "group", "term")], theirs[c("effect", "group", "term")],
    ignore_attr = TRUE
  )
  # lme4's optimum is good to three or four digits, its standard errors leave out the curvature of
  # the determinant.
  expect_equal(ours$estimate, theirs$estimate, tolerance = 1e-3)
  expect_equal(ours$std.error, theirs$std.error, tolerance = 2e-2)
  modes <- broom.mixed::tidy(reference, "ran_vals")
  expect_identical(names(tidy(herds, "ran_vals")), names(modes))
  expect_equal(tidy(herds, "ran_vals")$estimate, modes$estimate, tolerance = 1e-3)
})

test_that("components are those of broom.mixed for glmmTMB, to 4 digits", {
  skip_if_not_installed("broom.mixed")
  skip_if_not_installed("glmmTMB")
  data("Salamanders", package = "glmmTMB", envir = environment())
  reference <- glmmTMB::glmmTMB(count ~ mined + (1 | site),
    ziformula = ~mined, family = glmmTMB::nbinom2(), data = Salamanders
  )
  ours <- glmm(count ~ mined + (1 | site), Salamanders, nbinom2(), ziformula = ~mined)
  theirs <- broom.mixed::tidy(reference)
  expect_same_table(tidy(ours), theirs, tolerance = 1e-4)
  expect_same_table(
    tidy(ours, "fixed", exponentiate = TRUE, conf.int = TRUE),
    broom.mixed::tidy(reference, "fixed", exponentiate = TRUE, conf.int = TRUE)[
      names(tidy(ours, "fixed", conf.int = TRUE))
    ],
    tolerance = 1e-4
  )
  expect_identical(unique(tidy(ours, component = "zi", effects = "fixed")$component), "zi")
  # The dispersion model is shown, which broom.mixed leaves out.
  spread <- glmm(count ~ mined + (1 | site),
    dispformula = ~DOY, family = nbinom2(), data = Salamanders
  )
  shown <- tidy(spread, conf.int = TRUE)
  expect_identical(shown$component, c("cond", "cond", "disp", "disp", "cond"))
  limits <- confint(spread, method = "wald")
  expect_equal(shown$conf.low[3:4], unname(limits[c("disp.(Intercept)", "disp.DOY"), 1L]))
  expect_equal(shown$conf.high[5], limits[["sd_(Intercept)|site", 2L]])
})

test_that("Wald intervals of random parameters are those of confint()", {
  rows <- tidy(days, "ran_pars", conf.int = TRUE)
  limits <- confint(days, "theta_", method = "wald")
  expect_equal(rows$conf.low, unname(limits[, 1L]))
  expect_equal(rows$conf.high, unname(limits[, 2L]))
  squares <- tidy(days, "ran_pars", scales = "vcov", conf.int = TRUE)
  expect_equal(squares$conf.low[-2L], unname(limits[-2L, 1L])^2)
  # The covariance, by its standard error.
  se <- sqrt(diag(vcov(days, full = TRUE)))[4L]
  expect_equal(squares$conf.high[2L] - squares$estimate[2L], unname(qnorm(0.975) * se))
  drawn <- tidy(days, conf.int = TRUE, conf.method = "boot", nsim = 60, seed = 1)
  expect_equal(
    drawn$conf.low[3:6],
    unname(confint(days, "theta_", method = "boot", nsim = 60, seed = 1)[, 1L])
  )
})

test_that("structured terms have an interval where they have a parameter", {
  data <- small_data()
  fit <- lmm(y ~ x + ar1(0 + factor(rep_len(1:3, 240)) | g), data)
  rows <- tidy(fit, "ran_pars", conf.int = TRUE)
  lag_two <- grepl("1[.].*3$", rows$term) & startsWith(rows$term, "cor")
  expect_identical(sum(lag_two), 1L)
  expect_identical(which(is.na(rows$conf.low) & startsWith(rows$term, "cor")), which(lag_two))
})

test_that("coefficients by group have the standard errors of predictions", {
  rows <- tidy(days, "ran_coefs", conf.int = TRUE)
  new <- data.frame(Days = 0, Subject = levels(sleepstudy$Subject))
  found <- predict(days, new, se.fit = TRUE)
  expect_equal(rows$estimate[1:18], unname(found$fit))
  expect_equal(rows$std.error[1:18], unname(found$se.fit))
  # A slope is the difference of two predictions: its variance by the whole covariance, densely.
  parts <- components(days)
  ZL <- as.matrix(parts$Z %*% parts$Lambda)
  C <- rbind(cbind(crossprod(parts$X), crossprod(parts$X, ZL)),
    cbind(crossprod(ZL, parts$X), crossprod(ZL) + diag(ncol(ZL)))
  )
  weight <- c(0, 1, as.matrix(parts$Lambda)[2L, ])
  expect_equal(rows$std.error[19], sigma(days) * sqrt(drop(weight %*% solve(C, weight))))
  expect_equal(exp(rows$estimate[1]),
    tidy(days, "ran_coefs", exponentiate_ran_coefs = TRUE)$estimate[1]
  )
})

test_that("fits of other kinds have their rows", {
  plain <- suppressMessages(lmm(Reaction ~ Days, sleepstudy))
  reference <- summary(lm(Reaction ~ Days, sleepstudy))$coefficients
  rows <- tidy(plain, conf.int = TRUE)
  expect_equal(as.matrix(rows[1:2, c("estimate", "std.error", "statistic", "p.value")]), reference,
    ignore_attr = TRUE
  )
  expect_identical(rows$term[3], "sd__Observation")
  expect_equal(unname(confint(plain, "sigma")[1L, ]), unlist(rows[3, c("conf.low", "conf.high")]),
    ignore_attr = TRUE
  )
  expect_identical(nrow(tidy(plain, "ran_vals")), 0L)

  alias <- suppressMessages(lmm(Reaction ~ Days + I(2 * Days) + (1 | Subject), sleepstudy))
  expect_identical(tidy(alias, "fixed", conf.int = TRUE)$term, c("(Intercept)", "Days"))

  empty <- lmm(Reaction ~ 0 + (1 | Subject), sleepstudy)
  expect_identical(tidy(empty)$effect, c("ran_pars", "ran_pars"))

  logs <- glmm(Reaction ~ Days + (1 | Subject), sleepstudy, gaussian("log"))
  last <- tidy(logs, "ran_pars", conf.int = TRUE)[2L, ]
  expect_equal(last$estimate, sigma(logs))
  expect_true(last$conf.low < last$estimate && last$estimate < last$conf.high)
})

test_that("kernel fits have fixed effects and variances", {
  fit <- spectral_fit()
  rows <- tidy(fit, conf.int = TRUE)
  expect_identical(rows$group[rows$effect == "ran_pars"], c("kernel", "Residual"))
  table <- summary(fit)$coefficients
  expect_equal(rows$estimate[seq_len(nrow(table))], unname(table[, 1L]))
  d <- kernel_data()
  estimated <- suppressMessages(kernel_lmm(d$y, d$X, d$K))
  expect_identical(
    tidy(estimated, "fixed", conf.int = TRUE)$conf.low, unname(confint(estimated)[, 1L])
  )
  expect_error(tidy(fit, "ran_vals"), class = "partialpool_error_argument")
  expect_error(tidy(fit, conf.int = TRUE, conf.method = "profile"),
    class = "partialpool_error_argument"
  )
})

test_that("options that do not exist are refused, arguments of callers are not", {
  expect_error(tidy(days, "fixd"), "fixed", class = "partialpool_error_argument")
  expect_error(tidy(days, efects = "fixed"), "effects", class = "partialpool_error_argument")
  expect_error(tidy(days, scales = "sd"), NA)
  expect_error(tidy(days, scales = "x"), class = "partialpool_error_argument")
  expect_error(tidy(days, conf.method = "x"), class = "partialpool_error_argument")
  expect_error(tidy(days, conf.int = NA), class = "partialpool_error_argument")
  expect_error(tidy(days, ran_prefix = "a"), class = "partialpool_error_argument")
  expect_error(tidy(days, component = "x"), class = "partialpool_error_argument")
  expect_error(tidy(days, profile = 1), class = "partialpool_error_argument")
  expect_error(tidy(herds, ddf = "satterthwaite"), class = "partialpool_error_argument")
  expect_identical(tidy(days, "fixed", parametric = TRUE, vcov = NULL, coef_rename = FALSE),
                   tidy(days, "fixed"))
})

test_that("tests and other results are tables with broom's names", {
  smaller <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  expect_identical(names(tidy(anova(days))), c("term", "NumDF", "DenDF", "statistic", "p.value"))
  expect_identical(names(tidy(anova(herds))), c("term", "statistic", "df", "p.value"))
  both <- tidy(suppressMessages(anova(smaller, days)))
  expect_identical(both$term, c("smaller", "days"))
  expect_identical(names(both)[6:9], c("deviance", "statistic", "df", "p.value"))
  expect_identical(names(tidy(ranova(days)))[5:7], c("LRT", "df", "p.value"))
  tested <- linear_hypothesis(days, c("Days = 10", "(Intercept) = 250"))
  expect_identical(tidy(tested)$null.value, c(10, 250))
  expect_equal(glance(tested)$df, 2)
  adjusted <- tidy(linear_hypothesis(days, c("Days", "(Intercept)"), p.adjust = "holm"))
  expect_true("adj.p.value" %in% names(adjusted))
  expect_identical(as_plain(tidy(effects_table(days)))$term, effects_table(days)$term)

  profiled <- profile(days, "Days")
  expect_equal(
    unlist(tidy(profiled)[c("conf.low", "conf.high")], use.names = FALSE),
    unname(confint(profiled)[1L, ])
  )
  drawn <- bootstrap(days, nsim = 60, seed = 1)
  rows <- tidy(drawn, conf.int = TRUE, conf.method = "norm")
  expect_identical(names(rows)[1:4], c("term", "statistic", "bias", "std.error"))
  expect_equal(rows$conf.low, unname(confint(drawn, type = "norm")[, 1L]))

  expect_identical(tidy(ranef(days), conf.int = TRUE), tidy(days, "ran_vals", conf.int = TRUE))
  expect_identical(tidy(VarCorr(days), "vcov"), tidy(days, "ran_pars", scales = "vcov"))
  expect_error(tidy(ranef(days, condVar = FALSE), conf.int = TRUE),
    class = "partialpool_error_argument"
  )

  many <- lmm_responses(cbind(a = Reaction, b = Reaction^2) ~ Days + (1 | Subject), sleepstudy)
  expect_identical(tidy(many)$response, c("a", "a", "b", "b"))
  expect_identical(glance(many)$nobs, c(180L, 180L))
})

test_that("scans are tables too", {
  d <- kernel_data()
  fit <- suppressMessages(kernel_lmm(d$y, d$X, d$K))
  markers <- matrix(rep_len(c(0, 1, 2, 1, 0, 0, 2), d$n * 3), d$n,
    dimnames = list(rownames(d$K), c("m1", "m2", "m3"))
  )
  markers[, 2] <- rev(markers[, 1]) + seq_len(d$n)
  markers[, 3] <- seq_len(d$n)^2
  scan <- marker_scan(fit, markers)
  expect_identical(names(tidy(scan))[1:3], c("term", "estimate", "std.error"))
  expect_identical(tidy(scan)$term, c("m1", "m2", "m3"))
  expect_identical(glance(scan)$tests, 3)
})
