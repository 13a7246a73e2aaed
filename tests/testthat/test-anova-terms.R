probe <- function() {
  d <- utils::read.csv(test_path("fixtures", "A_probe.csv"))
  d[c("A", "B", "g")] <- lapply(d[c("A", "B", "g")], factor)
  d
}
finn <- function() {
  d <- finn_demo
  categorical <- setdiff(names(d), c("measured_variable", "continous_factor_A"))
  d[categorical] <- lapply(d[categorical], factor)
  names(d) <- c("y", "A", "B", "x", "g", "h")[match(names(d), c(
    "measured_variable", "categorical_factor_A", "categorical_factor_B", "continous_factor_A",
    "random_effect_A", "nested_random_effect_A"
  ))]
  d
}
numbers <- function(table) unname(as.matrix(as.data.frame(table)))

test_that("SEEDS 7: type III F tests with Satterthwaite's df are the published ones", {
  table <- anova(lmm(y ~ A + B + x + A:x + (1 | g), probe()))
  expect_identical(names(table), c("NumDF", "DenDF", "F value", "Pr(>F)"))
  expect_identical(row.names(table), c("A", "B", "x", "A:x"))
  expect_equal(table["A", "F value"], 28.144405, tolerance = 1e-4)
  expect_equal(table["A", "DenDF"], 583.9888, tolerance = 1e-4)
  expect_equal(table["B", "F value"], 55.148753, tolerance = 1e-4)
  expect_equal(table["B", "DenDF"], 584.0960, tolerance = 1e-4)
  expect_equal(table$NumDF, c(1, 2, 1, 1))
})

test_that("SEEDS 5, 6: the tests of FiNN's page: coding as fitted, sum to zero, types II and III", {
  d <- finn()
  formula <- y ~ A * x + B + (1 | g / h)
  fit <- suppressMessages(lmm(formula, d))
  as_fitted <- anova(fit, test = "Chisq", coding = "fitted")
  expect_identical(row.names(as_fitted), c("(Intercept)", "A", "x", "B", "A:x"))
  expect_equal(
    as_fitted$Chisq,
    c(53.4477653288, 2473.7537323903, 10.6288383380, 1.8869235354, 0.8439514699),
    tolerance = 1e-5
  )
  expect_equal(
    as_fitted$`Pr(>Chisq)`[-2], c(2.6556e-13, 0.001113376, 0.1695493248, 0.3582690885),
    tolerance = 1e-4
  )
  by_sum <- anova(fit, test = "Chisq")
  expect_equal(by_sum["x", "Chisq"], 13.573535725, tolerance = 1e-5)
  expect_equal(by_sum["(Intercept)", "Chisq"], 3704.494560, tolerance = 1e-5)
  second <- anova(fit, type = 2, test = "Chisq")
  expect_equal(second[c("A", "x"), "Chisq"], c(2501.54308, 13.59631), tolerance = 1e-5)
  third <- anova(fit)
  expect_equal(third["x", "F value"], 13.573535725, tolerance = 1e-5)
  expect_equal(third["x", "DenDF"], 99995, tolerance = 1e-3)
  recoded <- suppressMessages(
    lmm(formula, d, contrasts = list(A = contr.sum, B = contr.helmert))
  )
  expect_equal(numbers(anova(recoded, test = "Chisq")), numbers(by_sum), tolerance = 1e-6)
  expect_equal(
    anova(recoded, test = "Chisq", coding = "fitted")["x", "Chisq"], 13.573535725,
    tolerance = 1e-5
  )
})

test_that("lmerTest gives the same tables of types II and III without covariates", {
  skip_if_not_installed("lmerTest")
  d <- cake[-(1:23), ]
  formula <- angle ~ recipe * temperature + (1 | replicate)
  fit <- lmm(formula, d)
  reference <- lmerTest::lmer(formula, d)
  expect_equal(numbers(anova(fit)), numbers(anova(reference)[3:6]), tolerance = 1e-3)
  balanced <- lmm(angle ~ recipe * temperature + (1 | replicate), cake)
  reference <- lmerTest::lmer(angle ~ recipe * temperature + (1 | replicate), cake)
  for (type in 1:3) {
    expect_equal(
      numbers(anova(balanced, type = type)), numbers(anova(reference, type = type)[3:6]),
      tolerance = 1e-3
    )
  }
})

test_that("type I is lme4's sequential table, and its tests add up", {
  skip_if_not_installed("lme4")
  formula <- y ~ A + B + x + A:x + (1 | g)
  fit <- lmm(formula, probe())
  table <- anova(fit, type = "I")
  reference <- anova(lme4::lmer(formula, probe()))
  expect_equal(table$`F value`, reference$`F value`, tolerance = 1e-4)
  parts <- anova(fit, type = 1, test = "Chisq")
  beta <- fixef(fit)[-1]
  expect_equal(sum(parts$Chisq), drop(beta %*% solve(vcov(fit)[-1, -1], beta)))
})

test_that("types II and III do not depend on the coding", {
  d <- cake[-(1:23), ]
  formula <- angle ~ recipe * temperature + (1 | replicate)
  fit <- lmm(formula, d)
  other <- lmm(formula, d, contrasts = list(recipe = contr.helmert, temperature = contr.treatment))
  for (type in 1:3) {
    expect_equal(
      numbers(anova(fit, type = type)), numbers(anova(other, type = type)),
      tolerance = 1e-5
    )
  }
})

test_that("types I, II, III: no coding, order of levels or unit changes anything, df included", {
  skip_if_not_installed("nlme")
  d <- as.data.frame(nlme::RatPupWeight)
  d$Litter <- factor(d$Litter, ordered = FALSE)
  d$Treatment <- factor(as.character(d$Treatment))
  formula <- weight ~ sex * Treatment + Lsize + (1 | Litter)
  first <- lmm(formula, d)
  reordered <- d
  reordered$Treatment <- factor(d$Treatment, c("Low", "Control", "High"))
  reordered$sex <- factor(d$sex, rev(levels(d$sex)))
  reordered$Lsize <- 1e5 * (d$Lsize - 3)
  others <- c(
    lapply(list("contr.treatment", "contr.sum", "contr.helmert", "contr.poly"), function(coding) {
      lmm(formula, d, contrasts = list(sex = coding, Treatment = coding))
    }),
    list(lmm(formula, reordered), lmm(formula, d[rev(seq_len(nrow(d))), ]))
  )
  for (ddf in c("satterthwaite", "kenward-roger")) {
    for (type in 1:3) {
      expected <- numbers(anova(first, type = type, ddf = ddf))
      for (other in others) {
        expect_equal(numbers(anova(other, type = type, ddf = ddf)), expected, tolerance = 1e-5)
      }
    }
  }
})

test_that("lmerTest's df of joint tests where directions differ (types II and III)", {
  skip_if_not_installed("lmerTest")
  d <- as.data.frame(nlme::RatPupWeight)
  d$Litter <- factor(d$Litter, ordered = FALSE)
  d$Treatment <- factor(as.character(d$Treatment))
  formula <- weight ~ sex + Treatment + Lsize + (1 | Litter)
  reference <- lmerTest::lmer(formula, d)
  for (type in 2:3) {
    expect_equal(
      numbers(anova(lmm(formula, d), type = type)), numbers(anova(reference, type = type)[3:6]),
      tolerance = 1e-5
    )
  }
  # Interactions: differences of differences.
  formula <- weight ~ sex * Treatment + (1 | Litter)
  expect_equal(
    numbers(anova(lmm(formula, d))), numbers(anova(lmerTest::lmer(formula, d))[3:6]),
    tolerance = 1e-5
  )
})

test_that("character and logical variables are recoded too", {
  d <- probe()
  d$A <- as.character(d$A)
  d$L <- d$x > 0
  fit <- lmm(y ~ A * L + (1 | g), d)
  d[c("A", "L")] <- lapply(d[c("A", "L")], factor)
  by_sum <- lmm(y ~ A * L + (1 | g), d, contrasts = list(A = contr.sum, L = contr.sum))
  expect_equal(
    numbers(anova(fit)), numbers(anova(by_sum, coding = "fitted")),
    tolerance = 1e-5
  )
})

test_that("fits without random terms have the F tests of lm", {
  fit <- suppressMessages(lmm(y ~ A + B + x, probe()))
  table <- anova(fit)
  expect_equal(table["A", "F value"], 28.105362, tolerance = 1e-6)
  expect_equal(table["B", "F value"], 49.531495, tolerance = 1e-6)
  expect_equal(table["B", "Pr(>F)"], 1.26657e-20, tolerance = 1e-4)
  expect_equal(table$DenDF, rep(595, 3))
  expect_equal(
    anova(fit, type = 1)$`F value`, anova(lm(y ~ A + B + x, probe()))$`F value`[1:3]
  )
})

test_that("other degrees of freedom", {
  fit <- lmm(y ~ A + B + (1 | g), probe())
  expect_equal(anova(fit, ddf = "residual")$DenDF, c(596, 596))
  none <- anova(fit, ddf = "none")
  chisq <- anova(fit, test = "Chisq")
  expect_equal(none$`Pr(>F)`, chisq$`Pr(>Chisq)`[-1])
})

test_that("a dropped column is left out and named; the others are tested as without it", {
  d <- probe()
  d$z <- 2 * d$x
  fit <- suppressMessages(lmm(y ~ A + x + z + (1 | g), d))
  table <- anova(fit)
  expect_equal(
    numbers(table), numbers(anova(lmm(y ~ A + x + (1 | g), d))),
    tolerance = 1e-8
  )
  expect_true(any(grepl("left out: z", attr(table, "heading"))))
})

test_that("an empty cell leaves the coding as fitted, with a message", {
  d <- probe()
  d <- d[!(d$A == levels(d$A)[2] & d$B == levels(d$B)[3]), ]
  fit <- suppressMessages(lmm(y ~ A * B + (1 | g), d))
  expect_message(table <- anova(fit), class = "partialpool_message_rank")
  expect_equal(numbers(table), numbers(anova(fit, coding = "fitted")))
})

test_that("models without an intercept, with the intercept alone, and without fixed effects", {
  none <- lmm(y ~ 0 + A + x + (1 | g), probe())
  expect_identical(row.names(anova(none, test = "Chisq")), c("A", "x"))
  alone <- lmm(y ~ 1 + (1 | g), probe())
  expect_identical(nrow(anova(alone)), 0L)
  expect_identical(row.names(anova(alone, test = "Chisq")), "(Intercept)")
  nothing <- lmm(y ~ 0 + (1 | g), probe())
  for (type in 1:3) expect_identical(nrow(anova(nothing, type = type)), 0L)
})

test_that("degrees of freedom combine as those of lmerTest", {
  expect_identical(combine_df(7), 7)
  expect_identical(combine_df(c(7, 7)), 7)
  expect_identical(combine_df(c(1.5, 9)), 2)
  E <- 10 / 8 + 20 / 18
  expect_equal(combine_df(c(10, 20)), 2 * E / (E - 2))
  expect_identical(combine_df(c(Inf, Inf)), Inf)
})

test_that("wrong options are errors", {
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  expect_error(anova(fit, type = 4), class = "partialpool_error_argument")
  expect_error(anova(fit, type = "IIII"), class = "partialpool_error_argument")
  expect_error(anova(fit, test = "LRT"), class = "partialpool_error_argument")
  expect_error(anova(fit, ddf = "kr"), class = "partialpool_error_argument")
  expect_error(anova(fit, coding = "helmert"), class = "partialpool_error_argument")
})

test_that("tests of type II depend neither on units nor on a column left out", {
  set.seed(8)
  d <- data.frame(
    a = gl(3, 40), z = gl(2, 1, 120), x = rnorm(120), g = factor(sample(10, 120, TRUE))
  )
  d$y <- rnorm(120) + rnorm(10)[d$g] + d$x
  chisq <- function(d) anova(lmm(y ~ a * x + z * x + (1 | g), d), type = 2, test = "Chisq")$Chisq
  reference <- chisq(d)
  for (unit in c(1e-20, 1e-9, 1e12)) {
    expect_equal(chisq(transform(d, x = x * unit)), reference, tolerance = 1e-6)
  }
  d$x2 <- 2 * d$x
  fit <- quietly(lmm(y ~ x + x2 + a * x2 + (1 | g), d))
  table <- effects_table(fit, type = 2, test = "Chisq")
  row <- table[table$term == "x", ]
  expect_equal((row$estimate / row$std.error)^2, row$statistic, tolerance = 1e-8)
})
