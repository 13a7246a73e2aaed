types <- c("continuous", "categorical", "categorical", "continuous", rep("categorical", 2))
finn_text <- paste(deparse1(finn_formula))
finn_run <- function(...) run_glmm(as.matrix(finn_demo), names(finn_demo), types, finn_text, ...)
numbers <- as.matrix(utils::read.csv(test_path("fixtures", "A_probe.csv")))
labels <- colnames(numbers)
kinds <- c(
  "continuous", "categorical", "categorical", "continuous", "categorical", "continuous",
  "continuous"
)
run <- function(formula, ..., data = numbers) run_glmm(data, labels, kinds, formula, ...)

test_that("rows 1, 2, 4 and 12: FiNN's call, its fields in their order", {
  result <- finn_run(return_covariance = TRUE)
  expect_s3_class(result, "pp_run_glmm")
  expect_equal(
    names(result),
    c(
      "scores", "df", "p", "effects", "std_errors", "factors", "covariance", "table", "status",
      "message", "fit", "rows"
    )
  )
  expect_equal(result$factors, c(
    "categorical_factor_A", "categorical_factor_B", "continous_factor_A",
    "categorical_factor_A:continous_factor_A", "(Intercept)"
  ))
  expect_equal(unname(result$scores),
    c(2473.7537323903, 1.8869235354, 10.6288383380, 0.8439514699, 53.4477653288),
    tolerance = 1e-8
  )
  expect_equal(unname(result$df), rep(1L, 5))
  expect_equal(unname(result$p[2:5]), c(0.1695493248, 0.001113376324, 0.3582690885, 2.6556e-13),
    tolerance = 1e-5
  )
  expect_equal(unname(result$effects),
    c(0.81588592501, -0.02224523735, 0.03715327773, -0.01483046737, 0.10239796652),
    tolerance = 1e-9
  )
  expect_equal(unname(result$std_errors),
    c(0.01640405474, 0.01619421472, 0.01139604704, 0.01614344063, 0.01400640101),
    tolerance = 1e-8
  )
  expect_equal(result$fit$criterion, 471853.247065, tolerance = 1e-10)
  V <- result$covariance
  expect_equal(dim(V), c(5L, 5L))
  expect_equal(dimnames(V)[[1]], dimnames(V)[[2]])
  expect_equal(V, t(V))
  expect_equal(V["(Intercept)", "(Intercept)"], 1.9617926930e-4, tolerance = 1e-8)
  expect_equal(V["categorical_factor_A1", "continous_factor_A"], 3.4274746e-6, tolerance = 1e-7)
})

test_that("row 3: a singular fit says which components", {
  result <- finn_run()
  expect_equal(result$status, "singular")
  expect_match(result$message, "random_effect_A:nested_random_effect_A")
  expect_null(result$covariance)
})

test_that("row 5: contrasts are honoured, as a list or as text", {
  text <- "list(categorical_factor_A = contr.sum, categorical_factor_B = contr.sum,
    continous_factor_A = contr.sum, random_effect_A = contr.sum, nested_random_effect_A = contr.sum)"
  result <- finn_run(contrasts = text)
  expect_equal(result$scores[["continous_factor_A"]], 13.573535725, tolerance = 1e-8)
  expect_equal(result$effects[["continous_factor_A"]], 0.02973804404, tolerance = 1e-9)
  expect_equal(result$scores[["(Intercept)"]], 3704.494560, tolerance = 1e-8)
  a <- run("y ~ A + B + x + A:x + (1 | g)", list(A = contr.sum, B = "contr.helmert"))
  b <- run("y ~ A + B + x + A:x + (1 | g)", "list(A = contr.sum, B = contr.helmert, x = contr.sum)")
  expect_equal(a$scores, b$scores, tolerance = 1e-10)
  expect_equal(names(coef(a$fit)), names(coef(b$fit)))
})

test_that("rows 13 to 15: any family, by name, object or function", {
  formula <- "yb ~ A + B + x + A:x + (1 | g)"
  result <- run(formula, data_type = "binomial")
  expect_equal(result$effects[["A"]], 0.3682088679, tolerance = 1e-4)
  expect_equal(result$status, "ok")
  expect_equal(run(formula, data_type = binomial("logit"))$effects, result$effects)
  expect_equal(run(formula, data_type = stats::binomial)$effects, result$effects)
  nodes <- run(formula, data_type = "binomial", nAGQ = 25)
  expect_equal(nodes$effects[["A"]], 0.36809526268, tolerance = 1e-5)
  positive <- cbind(numbers, v = exp(numbers[, "y"] / 3))
  for (family in list("gamma", Gamma("log"))) {
    link <- if (is.character(family)) "log"
    result <- run_glmm(positive, c(labels, "v"), c(kinds, "continuous"), "v ~ A + x + (1 | g)",
      data_type = family, link = link
    )
    expect_lt(max(abs(result$effects - c(0.113337, 0.120055, 0.614511))), 2.5e-3)
  }
  inverse <- run_glmm(positive, c(labels, "v"), c(kinds, "continuous"), "v ~ A + x + (1 | g)",
    data_type = "gamma"
  )
  expect_equal(stats::family(inverse$fit)$link, "inverse")
})

test_that("rows 16 and 17: without random effects, a generalised or a linear model", {
  result <- run("yb ~ A + B + x", data_type = "binomial")
  expect_equal(result$effects[["A"]], 0.390982216, tolerance = 1e-7)
  expect_equal(result$std_errors[["A"]], 0.173273097, tolerance = 1e-6)
  result <- run("yp ~ A + B + x", data_type = "poisson")
  expect_equal(result$effects[["A"]], 0.48742641, tolerance = 1e-7)
  expect_lt(abs(result$std_errors[["A"]] - 0.06054693), 1e-6)
  result <- run("y ~ A + B + x")
  expect_equal(result$effects[["A"]], 0.49485464, tolerance = 1e-7)
  expect_equal(unname(result$scores[c("A", "B")]), c(28.105362, 49.531495), tolerance = 1e-7)
  expect_equal(result$df[["B"]], 2L)
  expect_equal(result$p[["B"]], 1.26657e-20, tolerance = 1e-5)
})

test_that("row 18: a failure never looks like p = 1", {
  constant <- one_level <- numbers
  constant[, "y"] <- 3
  one_level[, "g"] <- 7
  cases <- list(
    "The response `y` is constant" = constant, "no rows" = numbers[0, ],
    "> 1 sampled level: `g`" = one_level
  )
  for (cause in names(cases)) {
    result <- run("y ~ A + B + x + (1 | g)", data = cases[[cause]], return_covariance = TRUE)
    expect_equal(result$status, "failed")
    expect_match(result$message, cause, fixed = TRUE)
    for (field in c("scores", "df", "p", "effects", "std_errors")) {
      expect_true(all(is.na(result[[field]])))
    }
    expect_equal(result$factors, c("A", "B", "x", "(Intercept)"))
    expect_null(result$fit)
    expect_error(
      run("y ~ A + B + x + (1 | g)", data = cases[[cause]], on_error = "stop"),
      class = "partialpool_error"
    )
  }
})

test_that("row 19: a dropped column is reported, the others are as without it", {
  twice <- cbind(numbers, z = 2 * numbers[, "x"])
  result <- run_glmm(twice, c(labels, "z"), c(kinds, "continuous"), "y ~ A + x + z + (1 | g)")
  expect_equal(result$status, "dropped")
  expect_match(result$message, "`z`")
  expect_true(is.na(result$p[["z"]]))
  expect_equal(result$effects[-3], run("y ~ A + x + (1 | g)")$effects, tolerance = 1e-8)
})

test_that("row 20: rows with missing values are left out and counted", {
  holes <- numbers
  holes[6, "y"] <- NA
  holes[10, "x"] <- NA
  result <- run("y ~ A + B + x + A:x + (1 | g)", data = holes)
  expect_equal(unname(result$scores[c("A", "x")]), c(27.160376, 42.403128), tolerance = 1e-7)
  expect_equal(result$rows, c(used = 598L, left_out = 2L))
  expect_match(result$message, "2 of 600 rows left out")
})

test_that("row 21: formulas are taken as R takes them", {
  data <- cbind(numbers, A1 = numbers[, "A"], v = exp(numbers[, "y"]))
  names <- c(labels, "A1", "v")
  types <- c(kinds, "categorical", "continuous")
  for (formula in list(
    "y~x+(1|g)", "log(v) ~ x + (1 | g)", "y ~ I(x^2) + (1 | g)", "y ~ 0 + A + (1 | g)",
    "y ~ x + (1 + x | g)", "y ~ x + offset(yb) + (1 | g)", "y ~ A1 * x + (1 | g)",
    y ~ (A + B + x)^2 + (1 | g), y ~ poly(x, 2) + (1 | g), "y ~ x + (1 | g:A)"
  )) {
    result <- run_glmm(data, names, types, formula)
    expect_true(result$status %in% c("ok", "singular"), info = deparse1(formula))
    expect_false(anyNA(result$p), info = deparse1(formula))
  }
})

test_that("row 26: neither the data nor the workspace is changed", {
  before <- ls(globalenv(), all.names = TRUE)
  copy <- numbers + 0
  run("y ~ A + x + (1 | g)")
  constant <- numbers
  constant[, "y"] <- 1
  run("y ~ A + x + (1 | g)", data = constant)
  expect_identical(numbers, copy)
  expect_identical(ls(globalenv(), all.names = TRUE), before)
})

test_that("data frames keep their columns, and further arguments reach the fit", {
  frame <- data.frame(numbers)
  frame$A <- ifelse(frame$A == 1, "yes", "no")
  frame$g <- factor(frame$g)
  result <- run_glmm(frame, formula = "y ~ A + x + (1 | g)")
  expect_equal(unname(result$effects), unname(run("y ~ A + x + (1 | g)")$effects), tolerance = 1e-9)
  weighted <- run("y ~ A + x + (1 | g)", weights = yp + 1, REML = FALSE)
  fit <- lmm(y ~ A + x + (1 | g), probe(), weights = yp + 1, REML = FALSE)
  expect_equal(unname(weighted$effects), unname(coef(fit)[c(2, 3, 1)]), tolerance = 1e-9)
  expect_equal(as.data.frame(result)$term, result$table$term)
  expect_s3_class(as.data.frame(result), "data.frame", exact = TRUE)
})

test_that("wrong arguments are errors, not results", {
  for (call in expression(
    run("y ~ a + (1 | g)"), run("y ~ A", list(Q = "contr.sum")), run("y ~ A", "list(A = ls())"),
    run("y ~ A", "contr.sum"), run("y ~ A", list(A = "contr.nothing")), run("y ~ A", level = 5),
    run("y ~ A", on_error = "no"), run("y ~ A", return_covariance = NA),
    run_glmm(numbers, labels[-1], kinds, "y ~ x"), run_glmm(numbers, labels, kinds),
    run_glmm(numbers, labels, rep("number", 7), "y ~ x"), run("y ~ A + x + (1 | g)", wieghts = yp),
    run_glmm(data.frame(y = "a"), factor_type = "continuous", formula = "y ~ 1"),
    run("y ~ x", data_type = Gamma(), link = "log")
  )) {
    expect_error(eval(call), class = "partialpool_error_argument", info = deparse1(call))
  }
  expect_error(run("y ~ (1 | g"), class = "partialpool_error_formula")
  expect_error(run("~ x"), class = "partialpool_error_formula")
  expect_error(run("y ~ x", data_type = "nothing"), class = "partialpool_error_family")
  expect_error(run("y ~ x", data_type = "poisson", link = "logit"),
    class = "partialpool_error_family"
  )
  expect_error(run_glmm("a", "y", "continuous", "y ~ 1"), class = "partialpool_error_data")
})

test_that("a result prints", {
  expect_snapshot(print(run("y ~ A + B + x + (1 | g)")))
  constant <- numbers
  constant[, "y"] <- 1
  expect_snapshot(print(run("y ~ A + x + (1 | g)", data = constant)))
})

test_that("complete separation leaves no test, not p = 1", {
  set.seed(10)
  d <- data.frame(
    g = factor(sample(9, 150, TRUE)), a = factor(sample(3, 150, TRUE)), x = rnorm(150)
  )
  d$b <- as.integer(d$a == "1")
  d$none <- 0
  for (call in list(c("b ~ a + x + (1 | g)", "binomial"), c("none ~ a + x + (1 | g)", "poisson"))) {
    result <- suppressWarnings(quietly(run_glmm(d, formula = call[1], data_type = call[2])))
    expect_true(all(is.na(result$p)))
    expect_true(all(is.na(result$std_errors)))
  }
})

test_that("contrasts are for the levels of the rows that are used, and dates are numbers", {
  data <- numbers
  data[data[, "A"] == 0, "y"] <- NA
  lost <- run("y ~ A * x + (1 | g)", data = data, contrasts = "list(A = contr.sum, B = contr.sum)")
  expect_identical(lost$status, "failed")
  expect_match(lost$message, "A")
  data <- numbers
  data[data[, "B"] == 2, "y"] <- NA
  kept <- run("y ~ B + x + (1 | g)", data = data, contrasts = "list(B = contr.sum)")
  expect_false(kept$status == "failed")
  set.seed(2)
  d <- data.frame(
    y = rnorm(60), g = gl(6, 10), day = as.Date("2026-01-01") + rep(0:5, 10)
  )
  result <- quietly(run_glmm(d, formula = "y ~ day + (1 | g)"))
  expect_equal(unname(result$df), c(1, 1))
})
