quick <- function(...) suppressMessages(suppressWarnings(...))

test_that("tests are those of lmerTest", {
  skip_if_not_installed("lmerTest")
  # update() of lme4 looks for the data in the environment of the formula.
  assign("ranova_d", small_data(), envir = globalenv())
  withr::defer(rm("ranova_d", envir = globalenv()))
  d <- small_data()
  compare <- function(formula, ...) {
    environment(formula) <- globalenv()
    call <- bquote(lmerTest::lmer(.(formula), ranova_d))
    theirs <- quick(lmerTest::ranova(eval(call, globalenv()), ...))
    mine <- quick(ranova(lmm(formula, d), ...))
    expect_setequal(rownames(mine), rownames(theirs))
    theirs <- theirs[rownames(mine), ]
    expect_equal(mine$npar, theirs$npar)
    expect_equal(mine$logLik, theirs$logLik, tolerance = 1e-6)
    expect_equal(mine$LRT, theirs$LRT, tolerance = 1e-4)
    expect_equal(mine$Df, theirs$Df)
    expect_equal(mine[["Pr(>Chisq)"]], theirs[["Pr(>Chisq)"]], tolerance = 1e-3)
  }
  compare(y ~ x + (x | g))
  compare(y ~ x + (1 | g))
  compare(y ~ x + (x | g) + (1 | h))
  compare(y ~ x + (x + z | g))
  compare(y ~ x + (0 + t | g))
})

test_that("whole terms, ML, and what stands in data that are gone", {
  fit <- local({
    d <- small_data()
    deg <- 2
    lmm(y ~ poly(x, deg) + offset(o) + (poly(x, deg) | g) + (1 | h), d, weights = w, REML = FALSE)
  })
  expect_no_message(table <- ranova(fit, reduce_terms = FALSE))
  d <- small_data()
  smaller <- lmm(y ~ poly(x, 2) + offset(o) + (1 | h), d, weights = w, REML = FALSE)
  expect_equal(table$LRT[2], 2 * as.numeric(logLik(fit) - logLik(smaller)), tolerance = 1e-6)
  expect_equal(table$Df, c(NA, 6, 1))
  reduced <- ranova(fit)
  expect_equal(rownames(reduced)[2], "poly(x, deg) in (poly(x, deg) | g)")
  expect_equal(reduced$Df[2], 5)
  kept <- attr(reduced, "fits")[[1]]
  by_hand <- lmm(y ~ poly(x, 2) + offset(o) + (1 | g) + (1 | h), d, weights = w, REML = FALSE)
  expect_equal(logLik(kept), logLik(by_hand))
  expect_equal(deparse1(formula(kept)), "y ~ poly(x, deg) + offset(o) + (1 | g) + (1 | h)")
})

test_that("uncorrelated effects are tested one by one, and structures whole", {
  fit <- lmm(Reaction ~ Days + (Days || Subject), sleepstudy)
  table <- ranova(fit)
  expect_equal(table$Df, c(NA, 1, 1))
  expect_equal(table$logLik[2], as.numeric(logLik(lmm(Reaction ~ Days + (0 + Days | Subject),
                                                      sleepstudy))))
  expect_equal(table$logLik[3], as.numeric(logLik(lmm(Reaction ~ Days + (1 | Subject),
                                                      sleepstudy))))
  d <- small_data()
  shared <- quick(lmm(y ~ x + cs(t | g, hom = TRUE) + (1 | h), d))
  table <- ranova(shared, mixture = TRUE)
  expect_equal(table$Df, c(NA, 2, 1))
  expect_match(attr(table, "heading"), "upper bound for: cs", all = FALSE)
  series <- quick(lmm(y ~ x + ar1(0 + t | g), d))
  expect_match(attr(ranova(series, mixture = TRUE), "heading"), "approximation for: ar1",
               all = FALSE)
  # A slope without an intercept is no wider than an intercept: the term goes as a whole.
  alone <- lmm(Reaction ~ Days + (0 + Days | Subject), sleepstudy)
  expect_equal(rownames(ranova(alone)), c("<none>", "(0 + Days | Subject)"))
})

test_that("the mixture halves the p-value of a variance", {
  fit <- lmm(Yield ~ 1 + (1 | Batch), Dyestuff)
  plain <- ranova(fit)
  mixed <- ranova(fit, mixture = TRUE)
  expect_equal(mixed[["Pr(>Chisq)"]], plain[["Pr(>Chisq)"]] / 2)
  slopes <- ranova(lmm(Reaction ~ Days + (Days | Subject), sleepstudy), mixture = TRUE)
  lrt <- slopes$LRT[2]
  expect_equal(slopes[["Pr(>Chisq)"]][2],
               (pchisq(lrt, 1, lower.tail = FALSE) + pchisq(lrt, 2, lower.tail = FALSE)) / 2)
  zero <- quick(ranova(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2), mixture = TRUE))
  expect_equal(zero[["Pr(>Chisq)"]][2], 1)
  expect_snapshot(print(slopes))
})

test_that("the bound for several effects holds", {
  # Two uncorrelated effects without any: 1/4 point at zero, 1/2 chi-square 1, 1/4 chi-square 2.
  lrt <- c(0.5, 3, 8)
  exact <- pchisq(lrt, 1, lower.tail = FALSE) / 2 + pchisq(lrt, 2, lower.tail = FALSE) / 4
  p <- pchisq(lrt, 2, lower.tail = FALSE)
  bound <- partialpool:::mixture_p(lrt, rep(2, 3), p)
  expect_true(all(exact < bound))
})

test_that("generalised models keep their integral", {
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, nAGQ = 5)
  table <- ranova(fit)
  plain <- stats::glm(cbind(incidence, size - incidence) ~ period, stats::binomial, cbpp)
  expect_equal(table$logLik[2], as.numeric(logLik(plain)), tolerance = 1e-7)
  expect_equal(table$npar, c(5, 4))
  set.seed(1)
  d <- data.frame(g = rep(1:15, each = 8), x = rnorm(120))
  d$y <- rpois(120, exp(0.5 + 0.4 * d$x + rnorm(15, sd = 0.4)[d$g] +
                          d$x * rnorm(15, sd = 0.3)[d$g]))
  slopes <- quick(glmm(y ~ x + (x | g), d, poisson, ziformula = ~ 1))
  one <- quick(glmm(y ~ x + (1 | g), d, poisson, ziformula = ~ 1))
  expect_equal(ranova(slopes)$logLik[2], as.numeric(logLik(one)), tolerance = 1e-7)
})

test_that("arguments are checked", {
  bad <- function(...) expect_error(ranova(...), class = "partialpool_error_argument")
  fit <- lmm(Yield ~ 1 + (1 | Batch), Dyestuff)
  bad(1)
  bad(fit, reduce.terms = NA)
  bad(fit, mixture = 1)
  bad(quick(lmm(Yield ~ Batch, Dyestuff)))
  binary <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  bad(quick(update(binary, method = "pql")))
})
