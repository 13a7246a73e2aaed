sleep_slopes <- function(...) lmm(Reaction ~ Days + (Days | Subject), sleepstudy, ...)
probe_fit <- function() {
  d <- utils::read.csv(test_path("fixtures", "A_probe.csv"))
  d[c("A", "B", "g")] <- lapply(d[c("A", "B", "g")], factor)
  lmm(y ~ A + B + x + A:x + (1 | g), d)
}

test_that("matrix, vector, named vector and text say the same", {
  fit <- probe_fit()
  names <- names(coef(fit))
  L <- matrix(0, 1, 6, dimnames = list(NULL, names))
  L[, "B1"] <- 1
  L[, "B2"] <- -2
  expected <- linear_hypothesis(fit, L, rhs = 0.5)
  others <- list(
    linear_hypothesis(fit, drop(unname(L)), rhs = 0.5),
    linear_hypothesis(fit, c(B2 = -2, B1 = 1), rhs = 0.5),
    linear_hypothesis(fit, "B1 - 2 * B2 = 0.5"),
    linear_hypothesis(fit, "-(2*`B2`) + B1 - 1/4 = 1/4"),
    linear_hypothesis(fit, "B1 = 0.5 + B2 * 2"),
    linear_hypothesis(fit, "B1 - 2*B2", rhs = 0.5)
  )
  for (other in others) expect_equal(other, expected)
  expect_identical(expected$term, "B1 - 2*B2")
  expect_s3_class(expected, c("pp_hypothesis", "data.frame"), exact = TRUE)
  expect_identical(names(expected), c(
    "term", "estimate", "rhs", "std.error", "df", "statistic", "p.value", "conf.low", "conf.high"
  ))
  joint <- attr(expected, "joint")
  expect_equal(joint$statistic, expected$statistic^2)
  expect_equal(joint$p.value, expected$p.value)
})

test_that("names as they are printed can be written", {
  fit <- probe_fit()
  both <- linear_hypothesis(fit, c("A1:x", "(Intercept) - 3*A1:x + A1"))
  expect_equal(both$estimate, c(
    coef(fit)[["A1:x"]], sum(coef(fit)[c("(Intercept)", "A1", "A1:x")] * c(1, 1, -3))
  ))
  d <- transform(sleepstudy, `a day` = Days, check.names = FALSE)
  odd <- lmm(Reaction ~ `a day` + I(Days^2) + (1 | Subject), d)
  L <- c("`a day` = 10", "I(Days^2) + 2*a day")
  expect_equal(linear_hypothesis(odd, L)$estimate, c(
    coef(odd)[[2]], coef(odd)[[3]] + 2 * coef(odd)[[2]]
  ))
})

test_that("lmerTest's contests, single and joint, with values", {
  skip_if_not_installed("lmerTest")
  skip_if_not_installed("pbkrtest")
  fit <- lmm(score ~ Machine + (1 | Worker) + (1 | Worker:Machine),
    as.data.frame(nlme::Machines)[-c(1, 5, 20, 33), ],
    contrasts = list(Machine = contr.treatment)
  )
  d <- transform(as.data.frame(nlme::Machines)[-c(1, 5, 20, 33), ],
    Machine = factor(as.character(Machine))
  )
  theirs <- lmerTest::lmer(score ~ Machine + (1 | Worker) + (1 | Worker:Machine), d,
    control = lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10))
  )
  L <- rbind(c(0, 1, 0), c(0, -1, 1))
  rhs <- c(5, 1)
  for (ddf in c("Satterthwaite", "Kenward-Roger")) {
    ours <- attr(linear_hypothesis(fit, L, rhs, ddf = ddf), "joint")
    reference <- lmerTest::contest(theirs, L, rhs = rhs, ddf = ddf)
    expect_equal(ours$statistic, reference$`F value`, tolerance = 1e-5)
    expect_equal(ours$den.df, reference$DenDF, tolerance = 1e-5)
    expect_equal(ours$p.value, reference$`Pr(>F)`, tolerance = 1e-5)
    single <- linear_hypothesis(fit, L, ddf = ddf)
    reference <- lmerTest::contest(theirs, L, joint = FALSE, ddf = ddf, confint = TRUE)
    expect_equal(single$df, reference$df, tolerance = 1e-5)
    expect_equal(single$p.value, reference$`Pr(>|t|)`, tolerance = 1e-4)
    expect_equal(single$conf.low, reference$lower, tolerance = 1e-5)
  }
})

test_that("car's chi-square test", {
  skip_if_not_installed("car")
  skip_if_not_installed("lme4")
  fit <- probe_fit()
  theirs <- lme4::lmer(y ~ A + B + x + A:x + (1 | g), fit$frame, control = lme4::lmerControl(
    optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10)
  ))
  ours <- attr(linear_hypothesis(fit, c("B1 = 0.4", "B2 = 1"), test = "Chisq"), "joint")
  reference <- car::linearHypothesis(theirs, c("B1 = 0.4", "B2 = 1"))
  expect_equal(ours$statistic, reference$Chisq[2], tolerance = 1e-6)
  expect_equal(ours$p.value, reference$`Pr(>Chisq)`[2], tolerance = 1e-5)
})

test_that("pairwise differences of emmeans, adjusted p-values", {
  skip_if_not_installed("emmeans")
  skip_if_not_installed("lmerTest")
  d <- utils::read.csv(test_path("fixtures", "A_probe.csv"))
  d[c("A", "B", "g")] <- lapply(d[c("A", "B", "g")], factor)
  fit <- lmm(y ~ A + B + x + (1 | g), d)
  L <- rbind("0 - 1" = c(0, 0, -1, 0, 0), "0 - 2" = c(0, 0, 0, -1, 0), "1 - 2" = c(0, 0, 1, -1, 0))
  ours <- linear_hypothesis(fit, L, p.adjust = "holm")
  reference <- as.data.frame(summary(
    emmeans::emmeans(lmerTest::lmer(y ~ A + B + x + (1 | g), d), pairwise ~ B,
      lmer.df = "satterthwaite", adjust = "holm"
    )$contrasts
  ))
  expect_equal(ours$estimate, reference$estimate, tolerance = 1e-5)
  expect_equal(ours$df, reference$df, tolerance = 1e-4)
  expect_equal(ours$p.value, reference$p.value, tolerance = 1e-4)
})

test_that("generalised models and kernel models", {
  fit <- quietly(glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial))
  tests <- linear_hypothesis(fit, c("period2 - period3", "period3 - period4"))
  expect_identical(attr(tests, "test"), "Chisq")
  expect_true(all(is.infinite(tests$df)))
  L <- rbind(c(0, 1, -1, 0), c(0, 0, 1, -1))
  chisq <- t(L %*% coef(fit)) %*% solve(L %*% vcov(fit) %*% t(L), L %*% coef(fit))
  expect_equal(attr(tests, "joint")$statistic, drop(chisq))
  expect_error(linear_hypothesis(fit, "period2", ddf = "sat"), class = "partialpool_error_argument")
  K <- exp(-as.matrix(dist(1:30)) / 5)
  set.seed(1)
  x <- rnorm(30)
  y <- x + drop(crossprod(chol(K), rnorm(30))) + rnorm(30)
  kernel <- quietly(kernel_lmm(y, cbind(m = 1, x = x), K))
  table <- linear_hypothesis(kernel, "x")
  expect_equal(table$statistic, coef(summary(kernel))["x", "t value"])
  expect_equal(table$df, 28)
})

test_that("a coefficient that runs to infinity has no test, others have", {
  d <- data.frame(g = factor(rep(1:10, each = 8)), x = rep(c(0, 1), 40), z = rep(1:8, 10))
  set.seed(2)
  d$y <- ifelse(d$x == 1, 1, rbinom(80, 1, 0.5))
  fit <- suppressWarnings(quietly(glmm(y ~ x + z + (1 | g), d, binomial)))
  skip_if(is.null(fit$convergence$separation$columns))
  tests <- suppressWarnings(linear_hypothesis(fit, c("x", "z")))
  expect_true(is.na(tests$p.value[1]))
  expect_false(is.na(tests$p.value[2]))
  expect_true(is.na(attr(tests, "joint")$p.value))
})

test_that("what cannot be read is an error that says why", {
  fit <- sleep_slopes()
  bad <- list(
    "Dayz", "Days^2", "Days*Days", "Days/0", "Days/Days", "system('ls')", "3 = 4", "", "a b",
    "Days = 1 = 2", "Days =", "sum(Days)", "Days + NA", c(1, 2, 3), NULL, list(1), NA, c(x = 1),
    c(NA, 1), c(0, 0), matrix(0, 0, 2), matrix("a"), c("Days = 1", "Days = 2"), TRUE, NA_character_
  )
  for (L in bad) expect_error(linear_hypothesis(fit, L), class = "partialpool_error_argument")
  expect_error(linear_hypothesis(fit, "Dayz"), "Days", class = "partialpool_error_argument")
  expect_error(linear_hypothesis(fit, "Days", rhs = 1:2), class = "partialpool_error_argument")
  expect_error(linear_hypothesis(fit, "Days", rhs = NA), class = "partialpool_error_argument")
  expect_error(linear_hypothesis(fit, "Days", level = 2), class = "partialpool_error_argument")
  expect_error(linear_hypothesis(fit, "Days", p.adjust = "x"), class = "partialpool_error_argument")
  expect_error(linear_hypothesis(fit, "Days", test = "LRT"), class = "partialpool_error_argument")
  expect_error(linear_hypothesis(fit, "Days", ddf = "KR"), class = "partialpool_error_argument")
  expect_error(linear_hypothesis(lm(dist ~ speed, cars), "speed"),
    class = "partialpool_error_argument"
  )
  d <- transform(sleepstudy, Twice = 2 * Days)
  dropped <- quietly(lmm(Reaction ~ Twice + Days + (1 | Subject), d))
  expect_error(linear_hypothesis(dropped, "Days"), "dropped", class = "partialpool_error_argument")
})

test_that("hypotheses are printed with the joint test first", {
  lines <- capture.output(print(
    linear_hypothesis(sleep_slopes(), c("Days = 10", "(Intercept)"))
  ))
  expect_identical(lines[1], "Linear hypotheses (Satterthwaite's df)")
  expect_match(lines[2], "^Joint test: F\\(2, 17\\) = ")
  expect_match(lines[4], "Estimate Std. Error Value df t value Pr\\(>\\|t\\|\\) +2.5 % +97.5 %")
  expect_match(lines[5], "^Days +10.47 +1.546 +10 17")
})

test_that("infinite numbers in a hypothesis are named", {
  fit <- sleep_slopes()
  expect_error(linear_hypothesis(fit, "Inf*Days"), class = "partialpool_error_argument")
  expect_error(linear_hypothesis(fit, "Days = 1e400"), class = "partialpool_error_argument")
})
